/*
 * Bytes as libtirpc and rpcgen's codecs make them.
 *
 * Without arguments: reads frames (type number, length, bytes; numbers big-endian), decodes each
 * and writes its re-encoding as a frame of the same form; length 0xffffffff says "refused".
 * With "sample": writes one value of `everything` that is built here, member by member.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include "oracle.h"

#define ROOM (1 << 20)

static const struct { xdrproc_t codec; size_t size; } types[] = {
    { (xdrproc_t)xdr_plain, sizeof(plain) },
    { (xdrproc_t)xdr_lengths, sizeof(lengths) },
    { (xdrproc_t)xdr_by_enum, sizeof(by_enum) },
    { (xdrproc_t)xdr_by_bool, sizeof(by_bool) },
    { (xdrproc_t)xdr_by_int, sizeof(by_int) },
    { (xdrproc_t)xdr_tree, sizeof(tree) },
    { (xdrproc_t)xdr_everything, sizeof(everything) },
};

static char in[ROOM], out[ROOM];

static int read_number(uint32_t *number) {
    if (fread(number, 4, 1, stdin) != 1) return 0;
    *number = ntohl(*number);
    return 1;
}

static void write_frame(uint32_t type, const char *bytes, uint32_t length) {
    uint32_t head[2] = { htonl(type), htonl(length) };
    fwrite(head, 4, 2, stdout);
    if (length != 0xffffffffu) fwrite(bytes, 1, length, stdout);
}

static void again(uint32_t type, uint32_t length) {
    XDR from, to;
    void *value = calloc(1, types[type].size);
    xdrmem_create(&from, in, length, XDR_DECODE);
    if (!types[type].codec(&from, value) || xdr_getpos(&from) != length) {
        write_frame(type, NULL, 0xffffffffu);
        return;
    }
    xdrmem_create(&to, out, ROOM, XDR_ENCODE);
    if (!types[type].codec(&to, value)) {
        write_frame(type, NULL, 0xffffffffu);
        return;
    }
    write_frame(type, out, xdr_getpos(&to));
    xdr_free(types[type].codec, value);
    free(value);
}

static void sample(void) {
    static int numbers[] = { 1, -2, 3 };
    static quad_t few[] = { -1, (quad_t)1 << 40 };
    static double doubles[] = { -0.5, 1e300 };
    static name names[] = { "", "nine char" };
    static node last = { "b", NULL }, first = { "a", &last };
    static tree leaf = { NULL, NULL, 7 }, root = { NULL, &leaf, -8 };
    static plain rest;
    everything it;
    XDR to;
    memset(&it, 0, sizeof it);
    it.fixed.an_int = -2147483647 - 1;
    it.fixed.an_unsigned = 4294967295u;
    it.fixed.a_hyper = -((quad_t)1 << 62);
    it.fixed.an_unsigned_hyper = ~(u_quad_t)0;
    it.fixed.a_float = 0.1f;
    it.fixed.a_double = -1.5e-300;
    it.fixed.a_bool = TRUE;
    it.fixed.a_char = -128;
    it.fixed.a_short = -32768;
    it.fixed.an_unsigned_short = 65535;
    memcpy(it.fixed.an_opaque, "\1\2\3\4\5", 5);
    memcpy(it.fixed.numbers, numbers, sizeof numbers);
    it.fixed.a_color = FAR;
    rest = it.fixed;
    it.variable.any_bytes.any_bytes_len = 3;
    it.variable.any_bytes.any_bytes_val = "\xff\xfe";
    it.variable.few_bytes.handle_len = 8;
    it.variable.few_bytes.handle_val = "12345678";
    it.variable.any_text = "text";
    it.variable.few_text = "nine char";
    it.variable.any_numbers.any_numbers_len = 3;
    it.variable.any_numbers.any_numbers_val = numbers;
    it.variable.few_numbers.few_numbers_len = 2;
    it.variable.few_numbers.few_numbers_val = few;
    it.variable.doubles.doubles_len = 2;
    it.variable.doubles.doubles_val = doubles;
    it.variable.names.names_len = 2;
    it.variable.names.names_val = names;
    it.one.which = GREEN;
    it.one.by_enum_u.text = "green";
    it.two.there = FALSE;
    it.three.number = 77;
    it.three.by_int_u.rest = &rest;
    it.list = &first;
    it.root = &root;
    xdrmem_create(&to, out, ROOM, XDR_ENCODE);
    if (!xdr_everything(&to, &it)) exit(1);
    write_frame(6, out, xdr_getpos(&to));
}

int main(int argc, char **argv) {
    uint32_t type, length;
    if (argc > 1 && strcmp(argv[1], "sample") == 0) {
        sample();
        return 0;
    }
    while (read_number(&type) && read_number(&length)) {
        if (type >= sizeof types / sizeof types[0] || length > ROOM) return 2;
        if (fread(in, 1, length, stdin) != length) return 2;
        again(type, length);
    }
    return 0;
}
