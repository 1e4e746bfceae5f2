/* SPDX-License-Identifier: MIT
 *
 * Reading size-tagged option structs and writing size-tagged information structs.
 *
 * The rule is that of Linux' copy_struct_from_user: the caller's struct_size says how much he
 * knows, ours how much we know. What he does not know is zero (the default); what we do not know
 * must be zero, because then it asks for nothing. A size beyond MOST is taken for an uninitialised
 * member: reading that far could leave the caller's memory.
 */
#include "options.h"

#include <string.h>

enum { MOST = 4096 };

/* Read the struct_size that begins a caller's struct, which may lie at any address. */
static lstm_status read_size(const void *source, const char *what, size_t *size)
{
    uint32_t tag = 0;
    memcpy(&tag, source, sizeof tag);
    if (tag < sizeof tag || tag > MOST)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s: struct_size is %u; set it to sizeof(%s)", what,
                          (unsigned)tag, what);
    *size = tag;
    return LSTM_OK;
}

lstm_status lstm__read_options(void *destination, size_t size, const void *source, const char *what)
{
    const uint32_t own_size = (uint32_t)size;
    size_t given = 0;
    if (source) {
        RETURN_IF_ERROR(read_size(source, what, &given));
        const unsigned char *bytes = source;
        for (size_t k = size; k < given; k++)
            if (bytes[k] != 0)
                return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                                  "%s: byte %zu of %zu is set, but this library (%s) knows only "
                                  "the first %zu bytes: "
                                  "the program was compiled with a newer lstm.h",
                                  what, k, given, lstm_version_string(), size);
    }
    memset(destination, 0, size);
    if (source)
        memcpy(destination, source, given < size ? given : size);
    memcpy(destination, &own_size, sizeof own_size);
    return LSTM_OK;
}

lstm_status lstm__write_info(void *destination, const void *source, size_t size, const char *what)
{
    if (!destination)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s: the struct to fill is NULL", what);
    size_t given = 0;
    RETURN_IF_ERROR(read_size(destination, what, &given));
    const size_t skip = sizeof(uint32_t);
    const size_t shared = given < size ? given : size;
    memcpy((unsigned char *)destination + skip, (const unsigned char *)source + skip,
           shared - skip);
    memset((unsigned char *)destination + shared, 0, given - shared);
    return LSTM_OK;
}

lstm_status lstm__read_flag(int32_t *flag, int32_t standard, const char *what)
{
    if (*flag == 0)
        *flag = standard;
    else if (*flag != LSTM_YES && *flag != LSTM_NO)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "%s is %d; expected LSTM_YES (%d), LSTM_NO (%d) or 0 for the default",
                          what, (int)*flag, LSTM_YES, LSTM_NO);
    return LSTM_OK;
}
