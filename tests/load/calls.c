/* calls: functions that call themselves, run in several threads at once, and are left by longjmp.
 *
 * Reads a number N and does the whole round N times; prints what it has called itself as one line of JSON. */
#include "common.h"
#include <pthread.h>
#include <setjmp.h>

enum { DEPTH = 10, THREADS = 4, EACH = 100 };
static volatile long sink;
static jmp_buf out;
static long climbed, jumped, returned, turned;

__attribute__((noinline)) long climb(long depth)
{
    long below = depth > 1 ? climb(depth - 1) : 0;
    climbed++;
    sink += below;
    return below + 1;
}

__attribute__((noinline)) void leap(int away)
{
    jumped++;
    if (away)
        longjmp(out, 1);
    returned++;
}

__attribute__((noinline)) void turn(void)
{
    sink++; /* the kernel puts no probe on an instruction with lock in front */
    __atomic_add_fetch(&turned, 1, __ATOMIC_RELAXED);
}

static void *thread(void *argument)
{
    for (int i = 0; i < EACH; i++)
        turn();
    return argument;
}

static void everything(void)
{
    pthread_t threads[THREADS];
    climb(DEPTH);
    for (volatile int i = 0; i < 10; i++)
        if (setjmp(out) == 0)
            leap(i % 2);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread, NULL))
            fail("pthread_create", "calls");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    long rounds;
    start_watchdog(600);
    while (scanf("%ld", &rounds) == 1) {
        for (long i = 0; i < rounds; i++)
            everything();
        printf("{\"climb\": %ld, \"leap\": %ld, \"leap_returned\": %ld, \"turn\": %ld}\n", climbed, jumped, returned,
               turned);
        fflush(stdout);
    }
    return 0;
}
