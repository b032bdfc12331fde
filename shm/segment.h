/* SPDX-License-Identifier: MIT */
/*
 * The memory file: its geometry, creation before the fork, mapping and detaching.
 * What lies in it belongs to the other headers.
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include "shm/shm.h"

/*
 * Sizes, fixed for the life of the segment. Pages are touched only when used: large limits cost
 * nothing.
 */
struct shm_geometry {
	uint32_t n_slots;     /* processes, 1 to SLOT_MAX */
	uint32_t rooms_max;   /* rooms with members, 64 to 2^24 */
	uint32_t members_max; /* (slot, room, user) records, 64 to 2^26 */
	uint32_t users_max;   /* connected users, 64 to 2^26 */
	uint32_t typing_max;  /* typing marks, 64 to 2^24 */
	uint32_t revoked_max; /* entries of revocations, up to 2^24; 0: REVOKED_USUAL */
	uint32_t limits_max;  /* buckets of limits, up to 2^24; 0: the least that there can be */
	uint64_t ring_bytes;  /* 64 KiB to 16 GiB, rounded up to a power of two */
};

/*
 * Creates and maps a segment; the master does this before its first fork, children inherit
 * mapping and handle. The memory file is closed on exec and cannot change its size. Returns 0,
 * -ERR_INVAL (geometry), -ERR_NOMEM, -ERR_IO.
 */
int shm_create(const struct shm_geometry *geo, struct shm **ret) MUST_CHECK;

/*
 * Maps the segment in FD, which another process created, and checks magic, version, geometry and
 * length. The descriptor is duplicated. Returns 0, -ERR_CORRUPT (not a segment of this layout),
 * -ERR_NOMEM, -ERR_IO.
 */
int shm_map(int fd, struct shm **ret) MUST_CHECK;

/*
 * Unmaps, closes and frees this process's view; NULL allowed, clears the pointer. The segment
 * dies with its last view.
 */
void shm_detach(struct shm **shm);

/* The memory file's descriptor, owned by SHM. */
int shm_fd(const struct shm *shm);

/* The geometry in force (ring_bytes rounded). Valid as long as SHM. */
const struct shm_geometry *shm_geometry(const struct shm *shm);

/* A random number that names this segment's life: a restart of the daemon changes it. Never 0. */
uint64_t shm_boot_id(const struct shm *shm);

/* Bytes mapped, and bytes of memory really in use (by the file system's count; 0 if unknown). */
void shm_size(const struct shm *shm, uint64_t *ret_mapped, uint64_t *ret_used);

/* Records in use and their limit, per table. */
struct shm_usage {
	uint32_t rooms, rooms_max;
	uint32_t members, members_max; /* lingering ones included */
	uint32_t users, users_max;
	uint32_t typing, typing_max;
};
void shm_usage(const struct shm *shm, struct shm_usage *ret);

#endif
