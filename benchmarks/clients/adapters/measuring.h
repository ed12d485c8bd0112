/* What an adapter in C measures: time and CPU between start and stop, and single waits. */
#ifndef MEASURING_H
#define MEASURING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

struct measurement {
    uint64_t count;
    double wall, cpu;
    double *waits; /* in seconds; the owner makes room */
    uint64_t waited;
};

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void start(struct measurement *measurement)
{
    measurement->waited = 0;
    measurement->cpu = cpu_seconds();
    measurement->wall = now();
}

static void stop(struct measurement *measurement, uint64_t count)
{
    measurement->wall = now() - measurement->wall;
    measurement->cpu = cpu_seconds() - measurement->cpu;
    measurement->count = count;
}

static int by_size(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

/* VmHWM, since the peak of getrusage counts that of the parent too. */
static long peak_rss(void)
{
    char line[256];
    long size = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &size) == 1)
            break;
    if (status)
        fclose(status);
    return size;
}

static double percentile(const struct measurement *measurement, double share)
{
    return measurement->waits[(uint64_t)((double)measurement->waited * share)] * 1e6;
}

static void report(struct measurement *measurement, const char *client, const char *version)
{
    printf("{\"count\": %llu, \"wall\": %.6f, \"cpu\": %.6f, \"rss\": %ld, ",
           (unsigned long long)measurement->count, measurement->wall, measurement->cpu, peak_rss());
    if (measurement->waited) {
        qsort(measurement->waits, measurement->waited, sizeof *measurement->waits, by_size);
        printf("\"p50\": %.2f, \"p99\": %.2f, ", percentile(measurement, 0.50),
               percentile(measurement, 0.99));
    } else {
        printf("\"p50\": null, \"p99\": null, ");
    }
    printf("\"client\": \"%s\", \"version\": \"%s\"}\n", client, version);
}

#endif
