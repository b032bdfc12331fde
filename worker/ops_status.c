/* SPDX-License-Identifier: MIT */
/*
 * The operations listener's answers: alive, ready, metrics. They come from this process and
 * shared memory alone, so that they are there when nothing else is.
 */
#include "shm/metrics.h"
#include "worker/call.h"
#include "worker/readiness.h"
#include "worker/routes.h"

#define NO_STORE "Cache-Control: no-store\r\n"

void ops_healthz(struct call *call)
{
	call_json(call, 200, STR("{\"status\":\"ok\"}"));
}

void ops_readyz(struct call *call)
{
	unsigned reasons = readiness_of(call->wk);
	struct buf body = BUF_INIT;

	readiness_print(call->wk, reasons, &body);
	call_json(call, reasons ? 503 : 200, buf_str(&body));
	buf_done(&body);
}

void ops_metrics(struct call *call)
{
	struct buf body = BUF_INIT;

	metric_print(call->wk->shm, &body);
	call_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", NO_STORE,
		    buf_str(&body));
	buf_done(&body);
}
