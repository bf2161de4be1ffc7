/* Direct reads, writes and syncs of known number: disk_io TRUTH FILE-OR-DEVICE
 *
 * Says {"pid": N}. Lines on standard input: "write N", "read N" (4 KiB each, one after the other, apart from each other
 * so that none are merged), "sync N"; the answer is {"done": N}. "end" writes the truth: rows of int64 (1 read, 2 write,
 * 3 sync; start, end), CLOCK_BOOTTIME. */
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>

enum { READ = 1, WRITE, SYNC, BLOCK = 4096, APART = 8, PLACES = 512 };

static int64_t one(int fd, int kind, long place, void *block)
{
    off_t at = (off_t)(place % PLACES) * APART * BLOCK;
    if (kind == READ)
        return pread(fd, block, BLOCK, at);
    if (kind == WRITE)
        return pwrite(fd, block, BLOCK, at);
    return fsync(fd);
}

int main(int argc, char **argv)
{
    char line[64], word[16];
    void *block;
    rows truth = {0};
    if (argc != 3 || posix_memalign(&block, BLOCK, BLOCK))
        fail("usage", "disk_io TRUTH FILE");
    int fd = open(argv[2], O_RDWR | O_DIRECT);
    if (fd < 0)
        fail("cannot open", argv[2]);
    memset(block, 'x', BLOCK);
    alarm(600);
    printf("{\"pid\": %d}\n", getpid());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long count = 0;
        if (sscanf(line, "%15s %ld", word, &count) < 1)
            return 2;
        int kind = word[0] == 'r' ? READ : word[0] == 'w' ? WRITE : SYNC;
        if (word[0] == 'e')
            write_rows(&truth, argv[1]);
        for (long i = 0; i < count && word[0] != 'e'; i++) {
            int64_t row[3] = {kind, now_ns(), 0};
            if (one(fd, kind, i, block) < 0)
                fail("failed", word);
            row[2] = now_ns();
            add_row(&truth, row, 3);
        }
        printf("{\"done\": %ld}\n", count);
        fflush(stdout);
    }
    return 0;
}
