#include "vm.h"

#include <stdio.h>
#include <time.h>

/* More than a socket holds. */
enum { LEFT_READS = 64 };
enum { PING_MS = 500, LOOK_MS = 250, SILENCE_MS = 2000, FIRST_FRAME_MS = 60000 };

struct link guest_link;
static bool is_open[STREAMS_OWN];
static struct records run_body;
static uint32_t main_pid;
/* Its main process runs already. */
static bool is_restored;
/* The guest is expected to answer. */
static bool is_watched;
static bool heard;
static int64_t pinged_at, look_at;
/* So long it could have said something and did not. */
static int64_t silence;
/* Or it is being resumed. */
static bool is_suspending;

uint32_t guest_main_pid(void)
{
	return main_pid;
}

void guest_open(int fd, const struct machine *machine)
{
	link_open(&guest_link, fd);
	run_body = machine->run;
	stdio_open(&guest_link, STREAM_MAIN, &run_body);
	is_restored = machine->restore.data != NULL;
	const struct records *body = is_restored ? &machine->restore : &machine->configure;
	link_send_call(&guest_link, STREAM_CONFIGURE, is_restored ? METHOD_RESTORE : METHOD_CONFIGURE, body->data, body->length);
	is_open[STREAM_CONFIGURE] = is_watched = true;
	pinged_at = monotonic_ms();
}

static void configured(uint32_t error, const unsigned char *answer, size_t length)
{
	if (error != 0) {
		vm_not_started(error, (const char *)answer, length);
		return;
	}
	if (run_body.data == NULL) {
		calls_tell_started(0, NULL);
		return;
	}
	is_open[STREAM_MAIN] = true;
	if (is_restored) {
		stdio_await_credit();
		guest_resume();
	} else {
		link_send_call(&guest_link, STREAM_MAIN, METHOD_RUN, run_body.data, run_body.length);
	}
	stdio_begin();
}

static bool main_result(uint32_t error, const unsigned char *answer, size_t length)
{
	if (error != 0 && main_pid != 0) {
		char words[1024];
		snprintf(words, sizeof words, "the guest lost the main process: %.*s", (int)length, (const char *)answer);
		vm_failed(words);
		return true;
	}
	if (error != 0) {
		vm_not_started(error, (const char *)answer, length);
		return true;
	}
	if (length != 5 || main_pid == 0)
		return false;
	vm_ended((int)get_u32(answer), answer[4] == 1);
	return true;
}

/* The answer to SUSPEND is the last of the guest's words. */
static void suspend_result(uint32_t error, const unsigned char *answer, size_t length)
{
	char words[256];
	snprintf(words, sizeof words, "%.*s", (int)length, (const char *)answer);
	if (!is_suspending && error != 0) {
		vm_failed(words);
	} else if (!is_suspending) {
		checkpoint_resumed();
	} else {
		is_suspending = false;
		is_watched = error != 0;
		if (error != 0)
			link_release(&guest_link);
		checkpoint_suspended(error, words);
	}
}

static bool own_result(const struct frame *frame)
{
	uint32_t error = get_u32(frame->payload);
	const unsigned char *answer = frame->payload + 4;
	size_t length = frame->length - 4;
	is_open[frame->stream] = false;
	if (frame->stream == STREAM_MAIN)
		return main_result(error, answer, length);
	if (frame->stream == STREAM_CONFIGURE)
		configured(error, answer, length);
	if (frame->stream == STREAM_SUSPEND)
		suspend_result(error, answer, length);
	return true;
}

static bool main_event(const struct frame *frame)
{
	if (frame->length != 5 || frame->payload[0] != EVENT_STARTED || main_pid != 0)
		return false;
	main_pid = get_u32(frame->payload + 1);
	calls_tell_started(0, NULL);
	return main_pid != 0;
}

static bool take_own(const struct frame *frame)
{
	if (!is_open[frame->stream])
		return false;
	if (frame->type == FRAME_RESULT)
		return own_result(frame);
	/* The others have no output, whose end may be said. */
	if (frame->stream != STREAM_MAIN)
		return frame->type == FRAME_DATA && frame->length == 1;
	switch ((enum frame_type)frame->type) {
	case FRAME_DATA:
		return stdio_take_data(frame);
	case FRAME_CREDIT:
		return stdio_take_credit(frame);
	case FRAME_EVENT:
		return main_event(frame);
	default:
		return false;
	}
}

static bool take(void *subject, const struct frame *frame)
{
	(void)subject;
	heard = true;
	silence = look_at = 0;
	return frame->stream < STREAMS_OWN ? take_own(frame) : calls_answer(frame);
}

/* Whether there may be more. */
static bool read_once(void)
{
	switch (link_read(&guest_link, take, NULL)) {
	case LINK_EMPTY:
		return false;
	case LINK_OPEN:
		return guest_link.fd >= 0;
	case LINK_BROKEN:
		vm_failed("the guest broke the protocol");
		break;
	case LINK_ENDED:
		/* QEMU is about to end, or is taken for dead soon. */
		break;
	}
	link_close(&guest_link);
	return false;
}

static void guest_ready(void *subject, short events)
{
	(void)subject;
	if ((events & POLLOUT) != 0)
		link_flush(&guest_link);
	if ((events & ~POLLOUT) != 0)
		read_once();
}

static void ping(void)
{
	pinged_at = monotonic_ms();
	link_send_call(&guest_link, STREAM_PING, METHOD_PING, NULL, 0);
	is_open[STREAM_PING] = true;
}

/* An answer is awaited. */
static bool is_asked(void)
{
	return is_open[STREAM_PING] || is_open[STREAM_SUSPEND];
}

static void call_suspend(enum method method, const void *body, size_t length)
{
	link_send_call(&guest_link, STREAM_SUSPEND, method, body, length);
	is_open[STREAM_SUSPEND] = true;
	pinged_at = monotonic_ms();
	silence = look_at = 0;
}

void guest_suspend(void)
{
	is_suspending = true;
	call_suspend(METHOD_SUSPEND, NULL, 0);
	link_hold(&guest_link);
}

void guest_resume(void)
{
	unsigned char time_record[RECORD_HEADER + 8] = { 0 };
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	put_u16(time_record, TAG_TIME);
	put_u32(time_record + 4, 8);
	put_u64(time_record + RECORD_HEADER, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	is_watched = true;
	link_release(&guest_link);
	call_suspend(METHOD_RESUME, time_record, sizeof time_record);
}

/* Looks at QEMU only when an answer is late, and counts from then. */
static void watch(void)
{
	if (look_at == 0) {
		liveness_begin();
	} else {
		silence += liveness_look();
		/* What the container has written goes to the disks before it is suspended. */
		if (silence >= (heard && !is_open[STREAM_SUSPEND] ? SILENCE_MS : FIRST_FRAME_MS))
			vm_failed(heard ? "the guest no longer answers" : "the guest did not come up");
	}
	look_at = monotonic_ms() + LOOK_MS;
}

void guest_poll(void)
{
	if (!is_watched)
		return;
	if (!is_asked() && until(pinged_at + PING_MS) == 0)
		ping();
	if (is_asked() && until(look_at == 0 ? pinged_at + LOOK_MS : look_at) == 0)
		watch();
	if (guest_link.fd >= 0)
		poll_add(guest_link.fd, POLLIN | (link_is_waiting(&guest_link) ? POLLOUT : 0), guest_ready, NULL);
}

int guest_patience(void)
{
	if (!is_watched)
		return -1;
	if (!is_asked())
		return until(pinged_at + PING_MS);
	return until(look_at == 0 ? pinged_at + LOOK_MS : look_at);
}

void guest_drain(void)
{
	for (int i = 0; i < LEFT_READS && guest_link.fd >= 0 && read_once(); i++)
		continue;
}

void guest_close(void)
{
	is_watched = false;
	link_close(&guest_link);
}
