/* What the three C programs share: the pattern, the clocks, and options by name. */
#ifndef COMMON_H
#define COMMON_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rpc/rpc.h>
#include <rpc/rpcsec_gss.h>

#include "bench.h"

#define MEBIBYTE (1u << 20)

static inline void fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline const char *option(int count, char **arguments, const char *name)
{
    for (int i = 1; i + 1 < count; i++)
        if (strcmp(arguments[i], name) == 0)
            return arguments[i + 1];
    fprintf(stderr, "%s is missing\n", name);
    exit(2);
}

static inline int64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        fail("clock_gettime");
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static inline char *pattern(size_t length)
{
    char *bytes = malloc(length + 1);
    if (bytes == NULL)
        fail("malloc");
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i % 251);
    return bytes;
}

static inline int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

#endif
