/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over stored inputs: the files and directories given, else the target's corpus.
 * Finds nothing new: that is libFuzzer's work.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t replayed;

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf b = BUF_INIT;
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	/* named before it runs: the last name is the culprit */
	printf("# %s\n", path);
	fflush(stdout);
	do {
		uint8_t *room = buf_reserve(&b, 65536);

		n = fread(room, 1, 65536, f);
		buf_commit(&b, n);
	} while (n);
	fclose(f);
	LLVMFuzzerTestOneInput(b.p, b.len);
	buf_done(&b);
	replayed++;
}

static void replay(const char *path)
{
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	d = opendir(path);
	if (!d) {
		perror(path);
		exit(1);
	}
	while ((e = readdir(d))) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			replay_file(file);
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("ROOMD_SRCDIR");
	char corpus[4096];

	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc < 2) {
		snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
			 FUZZ_NAME);
		replay(corpus);
	}
	printf("1..1\n%sok 1 - %zu inputs for %s\n", replayed ? "" : "not ", replayed, FUZZ_NAME);
	return replayed ? 0 : 1;
}
