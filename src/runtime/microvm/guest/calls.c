#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	CALLS_MOST = 1024,
	/* Of bodies that are not whole yet, all together. */
	BODIES_MOST = 4 * BODY_MOST,
};

struct call *calls;
static size_t call_count, body_bytes;

struct method_entry {
	work *work;
	const enum tag *tags;
	size_t tag_count;
};

static const enum tag configure_tags[] = {
	TAG_TIME, TAG_ENTROPY, TAG_RESCAN, TAG_LAYER, TAG_TOP, TAG_SHARE, TAG_INTERFACE, TAG_ROUTE, TAG_HOSTNAME, TAG_DOMAINNAME,
	TAG_SYSCTL, TAG_FILE, TAG_MOUNT, TAG_MASKED, TAG_READONLY, TAG_DEVICE, TAG_ROOT_READONLY, TAG_CGROUP, TAG_INIT, TAG_CAPACITY,
	TAG_STAND_IN,
};
static const enum tag run_tags[] = {
	TAG_ARGS, TAG_ENV, TAG_CWD, TAG_USER, TAG_GROUPS, TAG_TERMINAL, TAG_STDIN, TAG_CAPABILITIES, TAG_RLIMIT, TAG_NO_NEW_PRIVILEGES,
	TAG_SECCOMP, TAG_OOM_SCORE_ADJ, TAG_UMASK, TAG_PRIVILEGED, TAG_HOLD,
};
static const enum tag signal_tags[] = { TAG_SIGNAL };
static const enum tag limit_tags[] = { TAG_CGROUP };
static const enum tag file_tags[] = { TAG_FILE };
static const enum tag tree_tags[] = { TAG_PATH, TAG_WHOLE, TAG_FOLLOW, TAG_UPPER, TAG_BARE, TAG_UNMOUNTED };
static const enum tag plant_tags[] = { TAG_PATH, TAG_UPPER, TAG_KEEP_KIND, TAG_UNMOUNTED };
static const enum tag resume_tags[] = { TAG_TIME };
static const enum tag restore_tags[] = {
	TAG_ENTROPY, TAG_RESCAN, TAG_INTERFACE, TAG_HARDWARE, TAG_ROUTE, TAG_FILE, TAG_CGROUP,
};
static const enum tag events_tags[] = { TAG_LISTENERS };
static const enum tag share_tags[] = { TAG_STAND_IN };

#define TAGS(tags) tags, sizeof tags / sizeof *tags

static const struct method_entry methods[] = {
	[METHOD_CONFIGURE] = { configure, TAGS(configure_tags) },
	[METHOD_RUN] = { NULL, TAGS(run_tags) },
	[METHOD_PING] = { NULL, NULL, 0 },
	[METHOD_STATS] = { stats, NULL, 0 },
	[METHOD_SIGNAL_ALL] = { signal_all, TAGS(signal_tags) },
	[METHOD_PROCESSES] = { processes, NULL, 0 },
	[METHOD_WRITE_FILE] = { write_file, TAGS(file_tags) },
	[METHOD_SYNC] = { synchronise, NULL, 0 },
	[METHOD_TREE] = { tree, TAGS(tree_tags) },
	[METHOD_PLANT] = { plant, TAGS(plant_tags) },
	[METHOD_MEMORY] = { memory, NULL, 0 },
	[METHOD_EVENTS] = { NULL, TAGS(events_tags) },
	[METHOD_LIMIT] = { limit, TAGS(limit_tags) },
	[METHOD_SUSPEND] = { suspend, NULL, 0 },
	[METHOD_RESUME] = { resume, TAGS(resume_tags) },
	[METHOD_RESTORE] = { restore, TAGS(restore_tags) },
	[METHOD_SHARE] = { share, TAGS(share_tags) },
};

struct records call_body(const struct call *call)
{
	return (struct records){ call->body, call->body_length };
}

void call_event(struct call *call, enum event kind, const void *data, size_t length)
{
	uint8_t head = (uint8_t)kind;
	port_send(FRAME_EVENT, call->stream, &head, 1, data, length);
}

static void send_result(struct call *call, int error, const void *data, size_t length)
{
	uint8_t head[4];
	put_u32(head, (uint32_t)error);
	port_send(FRAME_RESULT, call->stream, head, sizeof head, data, length);
	call->done = true;
}

void call_succeed(struct call *call, const void *data, size_t length)
{
	send_result(call, 0, data, length);
}

void call_fail(struct call *call, int error, const char *format, ...)
{
	char words[512];
	va_list values;
	va_start(values, format);
	vsnprintf(words, sizeof words, format, values);
	va_end(values);
	send_result(call, error, words, strlen(words));
}

static void ping(struct call *call)
{
	struct timespec now;
	uint8_t data[8];
	clock_gettime(CLOCK_MONOTONIC, &now);
	put_u64(data, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	call_succeed(call, data, sizeof data);
}

bool call_is_held(const struct call *call)
{
	return container.suspended && call->method != METHOD_RESUME && call->method != METHOD_RESTORE;
}

/* They were another side's. What a process of the container has started goes on. */
static void forget_others(const struct call *restore)
{
	for (struct call *call = calls; call != NULL; call = call->next) {
		if (call == restore || call->is_main || call->done)
			continue;
		if (call->pid > 0 && !call->reaped)
			kill(call->pid, SIGKILL);
		call->done = true;
	}
}

static void start(struct call *call)
{
	const struct method_entry *entry = &methods[call->method];
	struct records body = call_body(call);
	if (!records_valid(&body, entry->tags, entry->tag_count)) {
		call_fail(call, EINVAL, "the body of the call is malformed");
		return;
	}
	switch (call->method) {
	case METHOD_PING:
		ping(call);
		break;
	case METHOD_EVENTS:
		events_start(call);
		break;
	case METHOD_RUN:
		run_start(call);
		break;
	case METHOD_CONFIGURE:
		if (container.state != CONTAINER_NONE || container.configuring) {
			call_fail(call, EALREADY, "the guest is configured already");
			break;
		}
		container.configuring = true;
		worker_start(call, configure);
		break;
	case METHOD_SUSPEND:
		if (container.state != CONTAINER_RUNNING || container.suspended)
			call_fail(call, ESRCH, "the container does not run");
		else
			worker_start(call, suspend);
		break;
	case METHOD_RESUME:
	case METHOD_RESTORE:
		if (!container.suspended) {
			call_fail(call, EINVAL, "the container is not suspended");
			break;
		}
		if (call->method == METHOD_RESTORE)
			forget_others(call);
		worker_start(call, entry->work);
		break;
	default:
		worker_start(call, entry->work);
	}
}

static struct call *find(uint16_t stream)
{
	for (struct call *call = calls; call != NULL; call = call->next)
		if (call->stream == stream && !call->done)
			return call;
	return NULL;
}

/* Bodies grow as they come: nobody is given memory for what was only announced. */
static void take_body(struct call *call, const uint8_t *data, size_t length)
{
	if (length > call->body_length - call->body_came) {
		port_break();
		return;
	}
	if (length > 0) {
		call->body = need(realloc(call->body, call->body_came + length));
		memcpy(call->body + call->body_came, data, length);
		call->body_came += length;
		body_bytes += length;
	}
	if (call->body_came == call->body_length)
		start(call);
}

static void open_call(const struct frame *frame)
{
	if (find(frame->stream) != NULL) {
		port_break();
		return;
	}
	struct call *call = need(calloc(1, sizeof *call));
	call->next = calls;
	calls = call;
	call_count++;
	call->stream = frame->stream;
	call->method = frame->payload[0];
	call->body_length = get_u32(frame->payload + 1);
	call->status_fd = call->in.fd = call->out[0].fd = call->out[1].fd = -1;
	call->in.credit = FIRST_CREDIT;
	call->out[0].credit = call->out[1].credit = FIRST_CREDIT;
	if (call->method < METHOD_CONFIGURE || call->method > METHOD_SHARE)
		call_fail(call, ENOSYS, "no method 0x%02x", call->method);
	else if (call_count > CALLS_MOST || body_bytes + call->body_length > BODIES_MOST)
		call_fail(call, EAGAIN, "too many calls at a time");
	else
		take_body(call, frame->payload + CALL_HEADER, frame->length - CALL_HEADER);
}

static void cancel(struct call *call)
{
	if (call->cancelled)
		return;
	call->cancelled = true;
	if (call->body_came < call->body_length || call->method == METHOD_EVENTS)
		call_fail(call, ECANCELED, "cancelled");
	else if (call->method == METHOD_RUN)
		run_cancel(call);
	else if (call->pid > 0 && !call->reaped)
		kill(call->pid, SIGKILL);
}

void calls_frame(const struct frame *frame)
{
	if (frame->type == FRAME_CALL) {
		open_call(frame);
		return;
	}
	if (frame->type == FRAME_EVENT || frame->type == FRAME_RESULT) {
		port_break();
		return;
	}
	struct call *call = find(frame->stream);
	if (call == NULL)
		return;
	bool whole = call->body_came == call->body_length;
	if (frame->type != FRAME_CANCEL && whole == (frame->type == FRAME_BODY)) {
		port_break();
		return;
	}
	switch (frame->type) {
	case FRAME_BODY:
		take_body(call, frame->payload, frame->length);
		break;
	case FRAME_DATA:
		if (frame->payload[0] == CHANNEL_IN)
			streams_take(call, frame->payload + 1, frame->length - 1);
		else
			port_break();
		break;
	case FRAME_CREDIT:
		if (!streams_credit(call, frame->payload[0], get_u32(frame->payload + 1)))
			port_break();
		break;
	case FRAME_CONTROL:
		if (call->method == METHOD_RUN)
			run_control(call, frame->payload);
		break;
	case FRAME_CANCEL:
		cancel(call);
		break;
	}
}

static void tell_main_anew(void)
{
	for (struct call *call = calls; call != NULL; call = call->next)
		if (call->is_main && !call->done)
			run_tell_anew(call);
	container.restored = false;
}

/* What follows from a worker's success. */
static void worker_succeeded(struct call *call)
{
	if (call->method == METHOD_CONFIGURE)
		container_configured(call);
	container.restored = container.restored || call->method == METHOD_RESTORE;
	container.suspended = call->method == METHOD_SUSPEND || (container.suspended && call->method != METHOD_RESUME);
	call_succeed(call, call->answer, call->answer_length);
	if (container.restored && !container.suspended)
		tell_main_anew();
}

static void worker_ended(struct call *call)
{
	if (call->error != 0)
		call_fail(call, (int)call->error, "%s", (const char *)call->answer);
	else if (call->cancelled)
		call_fail(call, ECANCELED, "cancelled");
	else if (!call->answered)
		call_fail(call, EIO, "the guest's worker ended with status %d", call->wait_status);
	else
		worker_succeeded(call);
	if (call->method == METHOD_CONFIGURE)
		container.configuring = false;
}

static void poll_call(struct call *call)
{
	if (call->pid == 0 || call->done || call_is_held(call))
		return;
	if (call->method == METHOD_RUN)
		run_poll(call);
	child_poll(call);
	streams_poll(call);
	if (!call->reaped || call->status_fd >= 0 || !streams_ended(call))
		return;
	if (call->method == METHOD_RUN)
		run_ended(call);
	else
		worker_ended(call);
}

static void free_done(void)
{
	for (struct call **at = &calls; *at != NULL;) {
		struct call *call = *at;
		if (!call->done) {
			at = &call->next;
			continue;
		}
		*at = call->next;
		call_count--;
		streams_close(call);
		if (call->status_fd >= 0)
			close(call->status_fd);
		body_bytes -= call->body_came;
		free(call->body);
		free(call->answer);
		free(call->listening);
		free(call);
	}
}

/* The first of this turn is the last of the next, so that nobody has all of the port. */
static void rotate(void)
{
	if (calls == NULL || calls->next == NULL)
		return;
	struct call *first = calls, **end = &calls->next;
	calls = first->next;
	while (*end != NULL)
		end = &(*end)->next;
	*end = first;
	first->next = NULL;
}

void calls_poll(void)
{
	rotate();
	for (struct call *call = calls; call != NULL; call = call->next)
		poll_call(call);
	free_done();
}

void calls_child_ended(pid_t pid, int status)
{
	for (struct call *call = calls; call != NULL; call = call->next) {
		if (call->pid != pid || call->reaped)
			continue;
		call->reaped = true;
		call->wait_status = status;
		return;
	}
}
