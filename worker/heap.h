/* SPDX-License-Identifier: MIT */
/*
 * The worker's size follows its work down as well as up.
 */
#ifndef WORKER_HEAP_H
#define WORKER_HEAP_H

struct worker;

/*
 * To be called every second. Once a minute, the workers one after the other, the allocator's size
 * is noted for the metrics, and whole pages of freed memory go back to the system: a burst of slow
 * readers is not part of the worker's size for ever.
 */
void heap_look(struct worker *wk);

#endif
