/* uring_server PORT: an HTTP server that accepts, reads, writes and closes through io_uring, without liburing.
 *
 * One request is in flight on a connection; each completion submits the next step. "Connection: close" ends it. */
#define _GNU_SOURCE
#include "common.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { ENTRIES = 256, CONNECTIONS = 1024, ROOM = 4096 };
enum step { ACCEPT, READ, WRITE, CLOSE };

static struct {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask, pending;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;

static struct {
    char data[ROOM];
    int close;
} at[CONNECTIONS];

static void *map(size_t size, off_t offset)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, offset);
    if (p == MAP_FAILED)
        fail("mmap", "io_uring");
    return p;
}

static void set_up(void)
{
    struct io_uring_params p = {0};
    ring.fd = (int)syscall(__NR_io_uring_setup, ENTRIES, &p);
    if (ring.fd < 0)
        fail("io_uring_setup", "not to be had here");
    char *sq = map(p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char *cq = map(p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    ring.sqes = map(p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    ring.sq_tail = (unsigned *)(sq + p.sq_off.tail);
    ring.sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
    ring.sq_array = (unsigned *)(sq + p.sq_off.array);
    ring.cq_head = (unsigned *)(cq + p.cq_off.head);
    ring.cq_tail = (unsigned *)(cq + p.cq_off.tail);
    ring.cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
    ring.cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

static void enter(unsigned wait)
{
    int done = (int)syscall(__NR_io_uring_enter, ring.fd, ring.pending, wait, IORING_ENTER_GETEVENTS, NULL, 0);
    if (done < 0 && errno != EINTR)
        fail("io_uring_enter", "");
    if (done > 0)
        ring.pending -= (unsigned)done;
}

static void submit(enum step step, int fd, int op, void *data, unsigned size)
{
    if (ring.pending == ENTRIES)
        enter(0);
    unsigned tail = *ring.sq_tail, i = tail & *ring.sq_mask;
    ring.sqes[i] = (struct io_uring_sqe){.opcode = (uint8_t)op, .fd = fd, .addr = (uintptr_t)data, .len = size};
    ring.sqes[i].user_data = (uint64_t)step << 32 | (unsigned)fd;
    ring.sq_array[i] = i;
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    ring.pending++;
}

static void completed(enum step step, int fd, int result)
{
    static char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    if (step == ACCEPT) {
        if (result < 0 || result >= CONNECTIONS)
            fail("accept", strerror(-result));
        submit(ACCEPT, fd, IORING_OP_ACCEPT, NULL, 0);
        submit(READ, result, IORING_OP_RECV, at[result].data, ROOM - 1);
    } else if (step == READ && result > 0) {
        at[fd].data[result] = 0;
        at[fd].close = strcasestr(at[fd].data, "connection: close") != NULL;
        submit(WRITE, fd, IORING_OP_SEND, answer, sizeof answer - 1);
    } else if (step == WRITE && result > 0 && !at[fd].close) {
        submit(READ, fd, IORING_OP_RECV, at[fd].data, ROOM - 1);
    } else if (step != CLOSE) {
        submit(CLOSE, fd, IORING_OP_CLOSE, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address here = loopback("127.0.0.1", argc == 2 ? atoi(argv[1]) : 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, &here.any, address_size(&here)) || listen(listener, 512))
        fail("listen", argc == 2 ? argv[1] : "no port");
    set_up();
    submit(ACCEPT, listener, IORING_OP_ACCEPT, NULL, 0);
    for (;;) {
        enter(1);
        while (*ring.cq_head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE)) {
            struct io_uring_cqe *c = &ring.cqes[*ring.cq_head & *ring.cq_mask];
            uint64_t what = c->user_data;
            int result = c->res;
            __atomic_store_n(ring.cq_head, *ring.cq_head + 1, __ATOMIC_RELEASE);
            completed((enum step)(what >> 32), (int)(what & 0xffffffff), result);
        }
    }
}
