/* SPDX-License-Identifier: MIT
 *
 * SHA-256 (FIPS 180-4), of a file in blocks. The round constants are the first 32 bits of the
 * fractional parts of the cube roots of the first 64 primes; the initial state those of the square
 * roots of the first 8.
 */
#include "report_sha256.h"
#include "messages.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

static void add_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | (uint32_t)block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        const uint32_t a = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >> 3);
        const uint32_t b = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    uint32_t s[8];
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        const uint32_t choose = (s[4] & s[5]) ^ (~s[4] & s[6]);
        const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        const uint32_t first = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + choose +
                               rounds[i] + w[i];
        const uint32_t second = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + majority;
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += first;
        s[0] = first + second;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

/* Pad and add the last blocks: a one bit, zeros, the length in bits. */
static void finish(uint32_t state[8], const unsigned char *rest, size_t count, uint64_t total)
{
    unsigned char tail[128] = {0};
    memcpy(tail, rest, count);
    tail[count] = 0x80;
    const size_t blocks = count + 9 <= 64 ? 1 : 2;
    for (size_t i = 0; i < 8; i++) {
        tail[64 * blocks - 1 - i] = (unsigned char)(total * 8 >> (8 * i));
    }
    for (size_t b = 0; b < blocks; b++) {
        add_block(state, tail + 64 * b);
    }
}

int file_sha256(const char *path, char text[65])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    FILE *const file = fopen(path, "rb");
    if (file == NULL) {
        return message_error(EXIT_FILE, "%s: %s", path, strerror(errno));
    }
    unsigned char buffer[64 * 512];
    uint64_t total = 0;
    size_t got = 0;
    /* fread fills the buffer except at the end of the file. */
    while ((got = fread(buffer, 1, sizeof buffer, file)) == sizeof buffer) {
        for (size_t b = 0; b < got; b += 64) {
            add_block(state, buffer + b);
        }
        total += got;
    }
    const int failed = ferror(file);
    (void)fclose(file);
    if (failed) {
        return message_error(EXIT_FILE, "%s: %s", path, strerror(errno));
    }
    const size_t whole = got / 64 * 64;
    for (size_t b = 0; b < whole; b += 64) {
        add_block(state, buffer + b);
    }
    finish(state, buffer + whole, got - whole, total + got);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(text + 8 * i, 9, "%08x", (unsigned)state[i]);
    }
    return EXIT_DONE;
}
