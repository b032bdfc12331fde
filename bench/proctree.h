/* SPDX-License-Identifier: MIT */
/* What a process and all its descendants have cost: CPU time and resident memory.
 * Reads /proc only; when to look is coord.c's affair. */
#ifndef BENCH_PROCTREE_H
#define BENCH_PROCTREE_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct proctree {
	unsigned count;        /* live processes */
	uint64_t user_us;      /* CPU time, ended and waited-for children included */
	uint64_t system_us;
	uint64_t pss_kb;       /* proportional set size; only with is_memory */
	uint64_t private_kb;
	uint64_t fds;          /* open descriptors; only with is_memory */
};

/* Sums over root and its descendants. Memory costs a walk of every mapping, so ask for it only
 * outside a measurement. Returns 0, or -1 if root does not exist or may not be read. */
int proctree_read(pid_t root, int is_memory, struct proctree *ret_tree);

/* Prints one line for each process: pid, name, PSS, private memory, CPU. */
void proctree_print(pid_t root, FILE *out);

/* CPU time that the whole machine has spent on anything, stolen time included; 0 if unknown. */
uint64_t proctree_host_us(void);

/* The kernel's own object memory (Slab of /proc/meminfo) in kB; 0 if unknown. */
uint64_t proctree_slab_kb(void);

#endif
