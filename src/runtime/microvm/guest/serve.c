#include "agent.h"

static int64_t next_look;

void wake_at(int64_t moment)
{
	if (moment < next_look)
		next_look = moment;
}

void serve(int port)
{
	port_open(port);
	children_open();
	while (!port_is_over()) {
		next_look = INT64_MAX;
		poll_reset();
		/* Before the port: what ended now has its result on the way at once. */
		calls_poll();
		events_poll();
		children_poll();
		port_poll();
		int64_t wait = next_look == INT64_MAX ? -1 : next_look - monotonic_ms();
		poll_run(next_look == INT64_MAX ? -1 : wait < 0 ? 0 : (int)wait);
	}
}
