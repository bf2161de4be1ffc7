/* Requests between two USDT markers, in a function of its own; counts and times them itself.
 *
 * The markers are written by hand, as <sys/sdt.h> writes them (SystemTap's note format, version 3), so that no package
 * is needed. Reads numbers from stdin: so many requests are made, then "done N OUTER" is printed with one line a request:
 * the time inside the markers and the time around them, in ns of CLOCK_MONOTONIC.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MARKER(name, value)                                                        \
    __asm__ volatile("990: nop\n"                                                  \
                     ".pushsection .note.stapsdt,\"\",\"note\"\n"                  \
                     ".balign 4\n"                                                 \
                     ".4byte 992f-991f, 994f-993f, 3\n"                            \
                     "991: .asciz \"stapsdt\"\n"                                   \
                     "992: .balign 4\n"                                            \
                     "993: .8byte 990b, 0, 0\n"                                    \
                     ".asciz \"markers\"\n"                                        \
                     ".asciz \"" name "\"\n"                                       \
                     ".asciz \"8@%0\"\n"                                           \
                     "994: .balign 4\n"                                            \
                     ".popsection\n"                                               \
                     :: "r"((uint64_t)(value)))

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

__attribute__((noinline)) int64_t serve(uint64_t key) {
    MARKER("request_start", key);
    int64_t begun = now_ns();
    usleep(200 + key % 7 * 300);
    int64_t inside = now_ns() - begun;
    MARKER("request_end", key);
    return inside;
}

int main(void) {
    long wanted;
    uint64_t key = 1;
    while (scanf("%ld", &wanted) == 1) {
        for (long i = 0; i < wanted; i++, key++) {
            int64_t begun = now_ns();
            int64_t inside = serve(key);
            printf("%" PRId64 " %" PRId64 "\n", inside, now_ns() - begun);
        }
        printf("done %ld\n", wanted);
        fflush(stdout);
    }
    return 0;
}
