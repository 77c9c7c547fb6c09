/* libtirpc's xdrmem over rpcgen's routines: the codec shapes, timed in this process. */
#include "common.h"

#define ENTRIES 500
#define NUMBERS 100000
#define SAMPLES 10000
#define ROOM (4u << 20)

static char *wire, *again;
static u_int used;

struct shape {
    const char *name;
    xdrproc_t routine;
    void *value;
    size_t size;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        fail("calloc");
    return memory;
}

static listing *make_listing(void)
{
    listing *all = zeroed(1, sizeof *all);
    entry **link = &all->entries;
    for (int i = 0; i < 8; i++)
        all->verifier[i] = (char)i;
    for (u_int i = 0; i < ENTRIES; i++, link = &(*link)->next) {
        entry *one = *link = zeroed(1, sizeof *one);
        one->number = i * 7919ull + 1;
        one->name = zeroed(1, 64);
        snprintf(one->name, 64, "file-%u%.*s", i, (int)(i % 13), "abcdefghijklm");
        one->cookie = i + 3;
        one->handle.handle_len = 32;
        one->handle.handle_val = zeroed(1, 32);
        for (u_int j = 0; j < 32; j++)
            one->handle.handle_val[j] = (char)(i + j);
        if (i % 16 == 15)
            continue;
        attributes *about = one->about = zeroed(1, sizeof *about);
        about->kind = 1 + i % 2, about->mode = 0644, about->links = 1;
        about->owner = about->group = 1000;
        about->size = i * 1000ull, about->used = i * 1024ull;
        about->filesystem = 77, about->number = one->number;
        about->accessed_seconds = about->modified_seconds = about->changed_seconds = 1700000000 + i;
        about->accessed_nanoseconds = about->modified_nanoseconds = about->changed_nanoseconds = i;
    }
    all->end = TRUE;
    return all;
}

static numbers *make_numbers(void)
{
    numbers *all = zeroed(1, sizeof *all);
    all->all.all_len = NUMBERS;
    all->all.all_val = zeroed(NUMBERS, sizeof *all->all.all_val);
    for (u_int i = 0; i < NUMBERS; i++)
        all->all.all_val[i] = i * 2654435761u;
    return all;
}

static samples *make_samples(void)
{
    samples *all = zeroed(1, sizeof *all);
    all->all.all_len = SAMPLES;
    all->all.all_val = zeroed(SAMPLES, sizeof *all->all.all_val);
    for (u_int i = 0; i < SAMPLES; i++) {
        sample *one = &all->all.all_val[i];
        one->id = i, one->time = i * 1000003ull, one->value = -(int)i;
        one->tag = zeroed(1, 16);
        snprintf(one->tag, 16, "t%u", i % 1000);
    }
    return all;
}

static blob *make_blob(void)
{
    blob *all = zeroed(1, sizeof *all);
    all->data.data_len = MEBIBYTE;
    all->data.data_val = pattern(MEBIBYTE);
    return all;
}

static void must(bool_t done, const char *what)
{
    if (!done) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static void encode(struct shape *shape)
{
    XDR xdr;
    xdrmem_create(&xdr, wire, ROOM, XDR_ENCODE);
    must(shape->routine(&xdr, shape->value), "encoding");
    used = xdr_getpos(&xdr);
}

static void decode(struct shape *shape)
{
    XDR xdr;
    char value[64] __attribute__((aligned(16))) = { 0 };
    xdrmem_create(&xdr, wire, used, XDR_DECODE);
    must(shape->routine(&xdr, value), "decoding");
    xdr_free(shape->routine, value);
}

/* What was decoded encodes to the same bytes. */
static void verify(struct shape *shape)
{
    XDR xdr;
    char value[64] __attribute__((aligned(16))) = { 0 };
    xdrmem_create(&xdr, wire, used, XDR_DECODE);
    must(shape->routine(&xdr, value), "decoding");
    xdrmem_create(&xdr, again, ROOM, XDR_ENCODE);
    must(shape->routine(&xdr, value), "encoding again");
    must(xdr_getpos(&xdr) == used && memcmp(wire, again, used) == 0, "the round trip");
    xdr_free(shape->routine, value);
}

static void copy(struct shape *shape)
{
    (void)shape;
    memcpy(again, wire, used);
    __asm__ volatile("" ::: "memory");
}

static void run(struct shape *shape, const char *codec, const char *direction, void (*work)(struct shape *), int64_t measure)
{
    static uint64_t took[1 << 20];
    uint64_t hash = 0xcbf29ce484222325ull;
    size_t count = 0;
    for (u_int i = 0; i < used; i++)
        hash = (hash ^ (unsigned char)wire[i]) * 0x100000001b3ull;
    for (int i = 0; i < 5; i++)
        work(shape);
    int64_t started = nanoseconds(CLOCK_MONOTONIC), last = started;
    while (last - started < measure && count < sizeof took / sizeof *took) {
        work(shape);
        int64_t now = nanoseconds(CLOCK_MONOTONIC);
        took[count++] = now - last;
        last = now;
    }
    qsort(took, count, sizeof *took, by_number);
    printf("{\"codec\":\"%s\",\"shape\":\"%s\",\"direction\":\"%s\",\"ns\":%llu,\"bytes\":%u,\"hash\":\"%016llx\"}\n",
           codec, shape->name, direction, (unsigned long long)took[count / 2], used, (unsigned long long)hash);
}

int main(int count, char **arguments)
{
    int64_t measure = atoll(option(count, arguments, "--measure")) * 1000000;
    struct shape shapes[] = {
        { "listing", (xdrproc_t)xdr_listing, make_listing(), sizeof(listing) },
        { "numbers", (xdrproc_t)xdr_numbers, make_numbers(), sizeof(numbers) },
        { "samples", (xdrproc_t)xdr_samples, make_samples(), sizeof(samples) },
        { "blob", (xdrproc_t)xdr_blob, make_blob(), sizeof(blob) },
    };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Half a page apart modulo the page: addresses that are alike in their low bits would make every
       copy wait for the stores before it, and memcpy look ten times slower than it is. */
    wire = zeroed(1, ROOM), again = (char *)zeroed(1, ROOM + 4096) + 2112;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        encode(&shapes[i]);
        verify(&shapes[i]);
        run(&shapes[i], "memcpy", "encode", copy, measure);
        run(&shapes[i], "memcpy", "decode", copy, measure);
        run(&shapes[i], "libtirpc", "encode", encode, measure);
        run(&shapes[i], "libtirpc", "decode", decode, measure);
    }
    return 0;
}
