/* SPDX-License-Identifier: MIT */
/*
 * Creates, maps and checks the memory file, and computes where its parts lie.
 * What is written into the parts is up to the other files; nothing but header and capacities is set
 * here.
 */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/revoked.h"
#include "shm/view_priv.h"

#define RING_MIN 65536ULL
#define RING_MAX (1ULL << 34)

static uint64_t pow2_from(uint64_t n, uint64_t least)
{
	uint64_t p = least;

	while (p < n)
		p <<= 1;
	return p;
}

static uint64_t align_to(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static bool is_within(uint64_t v, uint64_t min, uint64_t max)
{
	return v >= min && v <= max;
}

static bool geometry_is_valid(const struct shm_geometry *g)
{
	return is_within(g->n_slots, 1, SLOT_MAX) && is_within(g->rooms_max, 64, 1 << 24) &&
	       is_within(g->members_max, 64, 1 << 26) && is_within(g->users_max, 64, 1 << 26) &&
	       is_within(g->typing_max, 64, 1 << 24) &&
	       is_within(g->revoked_max, 0, 1 << 24) && is_within(g->limits_max, 0, 1 << 24) &&
	       is_within(g->ring_bytes, RING_MIN, RING_MAX);
}

/* Hands out the parts one after the other, each on a page of its own. */
static uint64_t part(uint64_t *end, uint64_t bytes)
{
	uint64_t start = *end;

	*end = align_to(start + bytes, 4096);
	return start;
}

static unsigned locks_total(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LOCK_IDS; i++)
		n += lock_shards(i);
	return n;
}

static uint32_t pool_capacity(const struct shm_geometry *g, enum pool pool)
{
	switch (pool) {
	case POOL_ROOMS:
		return g->rooms_max;
	case POOL_MEMBERS:
		return g->members_max;
	case POOL_TYPING:
		return g->typing_max;
	default:
		return g->users_max;
	}
}

/* Sets every address of V relative to its base (which may be NULL to learn the size). */
static uint64_t lay_out(struct shm *v)
{
	const struct shm_geometry *g = &v->geo;
	uint64_t end = 0, slot_words = align_to(4ULL * g->n_slots, SHM_LINE);
	/* more than all indexes take when the tables are full, as they never give any back */
	uint64_t buckets = (uint64_t)INDEX_FIRST * INDEXES_TOTAL + g->rooms_max + g->members_max +
			   g->users_max;
	uint64_t revoked_n = g->revoked_max ? g->revoked_max : REVOKED_USUAL;
	uint64_t limit_sets = pow2_from(g->limits_max / LIMIT_WAYS, LIMIT_SHARDS);
	uintptr_t base = (uintptr_t)v->base;

	v->stride[POOL_ROOMS] = (uint32_t)(sizeof(struct shm_room) + slot_words);
	v->stride[POOL_MEMBERS] = v->stride[POOL_TYPING] = sizeof(struct shm_entry);
	v->stride[POOL_USERS] = (uint32_t)(sizeof(struct shm_user) + slot_words);
	v->stride[POOL_NAMES] = sizeof(struct shm_name);

	v->header = (void *)(base + part(&end, sizeof(struct shm_header)));
	v->locks = (void *)(base + part(&end, locks_total() * sizeof(struct shm_lock)));
	v->slots = (void *)(base + part(&end, g->n_slots * sizeof(struct shm_slot)));
	v->master_metrics = (void *)(base + part(&end, sizeof(struct shm_metrics)));
	v->pools = (void *)(base + part(&end, POOLS * sizeof(struct shm_pool)));
	v->ring = (void *)(base + part(&end, sizeof(struct shm_ring)));
	v->revoked = (void *)(base + part(&end, (revoked_n + 1) * sizeof(struct shm_revoked)));
	v->epochs = (void *)(base + part(&end, EPOCHS * sizeof(*v->epochs)));
	v->indexes = (void *)(base + part(&end, INDEXES_TOTAL * sizeof(struct shm_index)));
	v->buckets_used = (void *)(base + part(&end, SHM_LINE));
	v->buckets = (void *)(base + part(&end, 4 * buckets));
	v->buckets_n = (uint32_t)buckets;
	for (unsigned i = 0; i < POOLS; i++)
		v->table[i] =
			(void *)(base + part(&end, (pool_capacity(g, i) + 1ULL) * v->stride[i]));
	v->limits = (void *)(base +
			     part(&end, limit_sets * LIMIT_WAYS * sizeof(struct shm_limit)));
	v->ring_data = (void *)(base + part(&end, g->ring_bytes));
	v->revoked_n = (uint32_t)revoked_n;
	v->limit_mask = (uint32_t)(limit_sets - 1);
	v->ring_mask = g->ring_bytes - 1;
	return end;
}

static int map_file(struct shm *v)
{
	v->bytes = lay_out(v);
	v->base =
		mmap(NULL, v->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, v->fd, 0);
	if (v->base == MAP_FAILED) {
		v->base = NULL;
		return -ERR_NOMEM;
	}
	(void)lay_out(v);
	return 0;
}

static int file_open(struct shm *v)
{
	v->fd = memfd_create("roomd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (v->fd < 0)
		return errno == ENOMEM ? -ERR_NOMEM : -ERR_IO;
	if (ftruncate(v->fd, (off_t)lay_out(v)) < 0)
		return -ERR_NOMEM;
	if (fcntl(v->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -ERR_IO;
	return 0;
}

static int header_fill(struct shm *v)
{
	struct shm_header *h = v->header;
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -ERR_IO;
	*h = (struct shm_header){.version = SHM_VERSION,
				 .header_bytes = sizeof(*h),
				 .geo = v->geo,
				 .boot_id = random[0] | 1,
				 .hash_seed = random[1],
				 .total_bytes = v->bytes,
				 .metrics = METRICS};
	for (unsigned i = 0; i < POOLS; i++)
		v->pools[i].capacity = pool_capacity(&v->geo, i);
	/*
	 * One ring length before the first record: offset 0 stays "none", and tail - size never
	 * wraps.
	 */
	v->ring->tail = v->ring->reserve = v->geo.ring_bytes;
	h->magic = SHM_MAGIC;
	return 0;
}

int shm_create(const struct shm_geometry *geo, struct shm **ret)
{
	struct shm *v;
	int r;

	if (!geometry_is_valid(geo))
		return -ERR_INVAL;
	v = xcalloc(1, sizeof(*v));
	v->fd = -1;
	v->geo = *geo;
	v->geo.ring_bytes = pow2_from(geo->ring_bytes, RING_MIN);
	r = file_open(v);
	if (!r)
		r = map_file(v);
	if (!r)
		r = header_fill(v);
	if (r < 0) {
		shm_detach(&v);
		return r;
	}
	*ret = v;
	return 0;
}

static int header_check(int fd, struct shm_header *h)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || pread(fd, h, sizeof(*h), 0) != sizeof(*h))
		return -ERR_IO;
	if (h->magic != SHM_MAGIC || h->version != SHM_VERSION || h->header_bytes != sizeof(*h) ||
	    h->metrics != METRICS || !geometry_is_valid(&h->geo) ||
	    (h->geo.ring_bytes & (h->geo.ring_bytes - 1)) || h->total_bytes != (uint64_t)st.st_size)
		return -ERR_CORRUPT;
	return 0;
}

int shm_map(int fd, struct shm **ret)
{
	struct shm_header h;
	struct shm *v;
	int r = header_check(fd, &h);

	if (r < 0)
		return r;
	v = xcalloc(1, sizeof(*v));
	v->geo = h.geo;
	v->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (v->fd < 0)
		r = -ERR_IO;
	else if (lay_out(v) != h.total_bytes)
		r = -ERR_CORRUPT;
	else
		r = map_file(v);
	if (r < 0) {
		shm_detach(&v);
		return r;
	}
	*ret = v;
	return 0;
}

void shm_detach(struct shm **shm)
{
	struct shm *v = *shm;

	if (!v)
		return;
	if (v->base)
		(void)munmap(v->base, v->bytes);
	if (v->fd >= 0)
		(void)close(v->fd);
	buf_done(&v->scratch);
	free(v->batch);
	free(v);
	*shm = NULL;
}

int shm_fd(const struct shm *shm)
{
	return shm->fd;
}

const struct shm_geometry *shm_geometry(const struct shm *shm)
{
	return &shm->geo;
}

uint64_t shm_boot_id(const struct shm *shm)
{
	return shm->header->boot_id;
}

void shm_size(const struct shm *shm, uint64_t *ret_mapped, uint64_t *ret_used)
{
	struct stat st;

	*ret_mapped = shm->bytes;
	*ret_used =
		fstat(shm->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512; /* st_blocks' unit */
}

void shm_usage(const struct shm *shm, struct shm_usage *ret)
{
	const struct shm_pool *p = shm->pools;

	*ret = (struct shm_usage){
		.rooms = p[POOL_ROOMS].used,
		.rooms_max = p[POOL_ROOMS].capacity,
		.members = p[POOL_MEMBERS].used,
		.members_max = p[POOL_MEMBERS].capacity,
		.users = p[POOL_USERS].used,
		.users_max = p[POOL_USERS].capacity,
		.typing = p[POOL_TYPING].used,
		.typing_max = p[POOL_TYPING].capacity,
	};
}
