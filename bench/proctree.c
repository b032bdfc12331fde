/* SPDX-License-Identifier: MIT */
/* Sums CPU time and PSS over a process and its descendants from /proc.
 * Knows nothing of what these processes are. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/proctree.h"

struct entry {
	pid_t pid, parent;
	char name[20];
	uint64_t user, system;     /* clock ticks */
	int is_member;
};

/* The name in /proc/PID/stat may hold any character; the fields follow the last ')'. */
static int entry_read(pid_t pid, struct entry *ret_entry)
{
	unsigned long long user, system;
	long long child_user, child_system;
	char path[40], line[1024], *open, *close;
	FILE *f;
	size_t n;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = 0;
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close)
		return -1;
	*close = 0;
	if (sscanf(close + 1,
		   " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld",
		   &parent, &user, &system, &child_user, &child_system) != 5)
		return -1;
	*ret_entry = (struct entry){.pid = pid, .parent = parent,
				    .user = user + (uint64_t)child_user,
				    .system = system + (uint64_t)child_system};
	snprintf(ret_entry->name, sizeof(ret_entry->name), "%s", open + 1);
	return 0;
}

static size_t list_all(struct entry **ret_list)
{
	struct entry *list = NULL, one;
	size_t n = 0, room = 0;
	struct dirent *de;
	DIR *d = opendir("/proc");

	while (d && (de = readdir(d))) {
		pid_t pid = (pid_t)strtol(de->d_name, NULL, 10);

		if (pid <= 0 || entry_read(pid, &one) < 0)
			continue;
		if (n == room) {
			room = room ? room * 2 : 256;
			list = reallocarray(list, room, sizeof(*list));
			if (!list)
				abort();
		}
		list[n++] = one;
	}
	if (d)
		closedir(d);
	*ret_list = list;
	return n;
}

/* Marks root and everything below it; repeats until nothing new is found, since pids may wrap. */
static int mark_members(struct entry *list, size_t n, pid_t root)
{
	int is_found = 0, is_new = 1;

	for (size_t i = 0; i < n; i++)
		if (list[i].pid == root)
			is_found = list[i].is_member = 1;
	while (is_new) {
		is_new = 0;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < n && !list[i].is_member; k++)
				if (list[k].is_member && list[k].pid == list[i].parent)
					is_new = list[i].is_member = 1;
	}
	return is_found ? 0 : -1;
}

static void memory_read(pid_t pid, uint64_t *pss_kb, uint64_t *private_kb)
{
	unsigned long long v;
	char path[40], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss: %llu", &v) == 1)
			*pss_kb += v;
		else if (sscanf(line, "Private_Clean: %llu", &v) == 1 ||
			 sscanf(line, "Private_Dirty: %llu", &v) == 1)
			*private_kb += v;
	}
	if (f)
		fclose(f);
}

static uint64_t fds_count(pid_t pid)
{
	char path[40];
	uint64_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 2 ? n - 2 : 0; /* "." and ".." */
}

int proctree_read(pid_t root, int is_memory, struct proctree *ret_tree)
{
	uint64_t tick_us = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	struct proctree t = {0};
	struct entry *list;
	size_t n = list_all(&list);
	int r = mark_members(list, n, root);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (!list[i].is_member)
			continue;
		t.count++;
		t.user_us += list[i].user * tick_us;
		t.system_us += list[i].system * tick_us;
		if (is_memory) {
			memory_read(list[i].pid, &t.pss_kb, &t.private_kb);
			t.fds += fds_count(list[i].pid);
		}
	}
	free(list);
	if (r == 0)
		*ret_tree = t;
	return r;
}

void proctree_print(pid_t root, FILE *out)
{
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	struct entry *list;
	size_t n = list_all(&list);

	if (mark_members(list, n, root) == 0)
		fprintf(out, "  %8s %-16s %10s %12s %8s %10s\n", "pid", "name", "PSS kB",
			"private kB", "fds", "CPU s");
	for (size_t i = 0; i < n; i++) {
		uint64_t pss = 0, private = 0;

		if (!list[i].is_member)
			continue;
		memory_read(list[i].pid, &pss, &private);
		fprintf(out, "  %8d %-16s %10llu %12llu %8llu %10.2f\n", (int)list[i].pid,
			list[i].name, (unsigned long long)pss, (unsigned long long)private,
			(unsigned long long)fds_count(list[i].pid),
			(double)(list[i].user + list[i].system) * tick);
	}
	free(list);
}

uint64_t proctree_host_us(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal, busy = 0;
	FILE *f = fopen("/proc/stat", "re");

	if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
			&idle, &iowait, &irq, &softirq, &steal) == 8)
		busy = user + nice + system + irq + softirq + steal;
	if (f)
		fclose(f);
	return busy * (1000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t proctree_slab_kb(void)
{
	unsigned long long v, slab = 0;
	char line[256];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %llu", &v) == 1)
			slab = v;
	if (f)
		fclose(f);
	return slab;
}
