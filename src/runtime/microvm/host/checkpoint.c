#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIPE_SIZE = 1 << 20 };

/*
 * A checkpoint, in this order: the agent is suspended, QEMU stopped and told to write its state, which goes to whoever asked; he says that
 * he has kept it; QEMU goes on, the agent is resumed. Whatever fails, and when he has gone, the guest goes on all the same.
 */
static enum {
	IDLE,
	SUSPENDING,
	STOPPING,
	WRITING,
	/* All was given away. */
	WRITTEN,
	/* What QEMU still writes is thrown away. */
	CANCELLING,
	GOING_ON,
} phase;
static struct call *call; /* NULL: nobody waits for it any more */
static bool ends;
static size_t step;
/* QEMU's end of the pipe until it is handed over, and ours. */
static int to_qemu = -1, from_qemu = -1;
/* QEMU has said how it went. */
static bool is_known, is_complete;
/* Why it is not to be; no words: it is. */
static uint32_t error;
static char words[512];

#define COMMAND(rest) "{\"id\": \"hull-vm\", \"execute\": " rest "}\n"

static const char *const steps[] = {
	COMMAND("\"stop\""),
	/* A guest that has come in from a saved one knew its memory by a file. */
	COMMAND("\"migrate-set-capabilities\", \"arguments\": {\"capabilities\": ["
		"{\"capability\": \"x-ignore-shared\", \"state\": false}, {\"capability\": \"events\", \"state\": true}]}"),
	COMMAND("\"migrate-set-parameters\", \"arguments\": {\"max-bandwidth\": 1099511627776}"),
	COMMAND("\"getfd\", \"arguments\": {\"fdname\": \"state\"}"),
	COMMAND("\"migrate\", \"arguments\": {\"uri\": \"fd:state\"}"),
};
enum { STEP_STOP, STEP_CAPABILITIES, STEP_PARAMETERS, STEP_HAND_OVER, STEP_WRITE, STEPS };

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void checkpoint_end(void)
{
	phase = IDLE;
	call = NULL;
	close_end(&to_qemu);
	close_end(&from_qemu);
}

static void finish(void)
{
	struct call *asked = call;
	checkpoint_end();
	if (asked != NULL)
		call_answer(asked, error, words);
}

void checkpoint_resumed(void)
{
	if (phase == GOING_ON)
		finish();
}

static void went_on(const char *failure)
{
	if (failure != NULL)
		vm_failed("QEMU does not go on after a checkpoint");
	else
		guest_resume();
}

static void go_on(void)
{
	phase = GOING_ON;
	monitor_command(COMMAND("\"cont\""), -1, went_on);
}

static void refuse(uint32_t number, const char *why)
{
	if (error != 0)
		return;
	error = number;
	strncpy(words, why, sizeof words - 1);
}

static void next_step(void);

static void step_done(const char *failure)
{
	if (failure != NULL)
		refuse(EIO, failure);
	else if (step == STEP_STOP && call != NULL)
		call_tell_event(call, EVENT_STOPPED);
	if (step == STEP_HAND_OVER)
		close_end(&to_qemu);
	if (step == STEP_WRITE && failure == NULL)
		phase = error == 0 ? WRITING : CANCELLING;
	else if (error != 0)
		go_on();
	else
		step++;
	if (phase == STOPPING)
		next_step();
}

static void next_step(void)
{
	monitor_command(steps[step], step == STEP_HAND_OVER ? to_qemu : -1, step_done);
}

void checkpoint_suspended(uint32_t number, const char *why)
{
	if (number != 0) {
		refuse(number, why);
		finish();
		return;
	}
	phase = STOPPING;
	if (error != 0) {
		guest_resume();
		phase = GOING_ON;
		return;
	}
	step = STEP_STOP;
	next_step();
}

void checkpoint_begin(struct call *asked, bool ends_then)
{
	int ends_of_pipe[2];
	if (phase != IDLE) {
		call_answer(asked, EBUSY, "a checkpoint is being made");
	} else if (guest_main_pid() == 0) {
		call_answer(asked, ESRCH, "the main process does not run");
	} else if (pipe2(ends_of_pipe, O_CLOEXEC) != 0) {
		call_answer(asked, (uint32_t)errno, strerror(errno));
	} else {
		from_qemu = ends_of_pipe[0];
		to_qemu = ends_of_pipe[1];
		fcntl(from_qemu, F_SETPIPE_SZ, PIPE_SIZE);
		fcntl(from_qemu, F_SETFL, O_NONBLOCK);
		call = asked;
		ends = ends_then;
		is_known = is_complete = false;
		error = 0;
		memset(words, 0, sizeof words);
		phase = SUSPENDING;
		guest_suspend();
	}
}

bool checkpoint_kept(void)
{
	if (phase != WRITTEN)
		return false;
	if (ends) {
		finish();
		/* As a process that CRIU has written and killed. */
		vm_ended(SIGKILL, false);
	} else {
		go_on();
	}
	return true;
}

static void cancelled(const char *failure)
{
	/* Too late: it is done, or has failed. */
	(void)failure;
}

void checkpoint_cancel(bool gone)
{
	if (gone)
		call = NULL;
	if (phase != GOING_ON)
		refuse(ECANCELED, "the checkpoint was cancelled");
	if (phase == WRITTEN) {
		go_on();
	} else if (phase == WRITING) {
		phase = CANCELLING;
		monitor_command(COMMAND("\"migrate_cancel\""), -1, cancelled);
	}
}

/* QEMU has closed its end and said how it went, in whatever order. */
static void look_whether_written(void)
{
	if (from_qemu >= 0 || !is_known || (phase != WRITING && phase != CANCELLING))
		return;
	if (!is_complete)
		refuse(EIO, "QEMU cannot write the state of the machine");
	if (error != 0) {
		go_on();
	} else {
		phase = WRITTEN;
		call_tell_data(call, NULL, 0);
	}
}

void checkpoint_written(bool completed)
{
	is_known = true;
	is_complete = completed;
	look_whether_written();
}

static void state_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	static unsigned char chunk[DATA_MOST];
	size_t most = phase == WRITING ? call_room(call) : sizeof chunk;
	ssize_t got = read(from_qemu, chunk, most < sizeof chunk ? most : sizeof chunk);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0 && phase == WRITING)
		call_tell_data(call, chunk, (size_t)got);
	if (got > 0)
		return;
	close_end(&from_qemu);
	look_whether_written();
}

bool checkpoint_is_for(const struct client *client)
{
	return call != NULL && call_is_of(call, client);
}

void checkpoint_poll(void)
{
	if (from_qemu >= 0 && (phase == CANCELLING || (phase == WRITING && call_room(call) > 0)))
		poll_add(from_qemu, POLLIN, state_ready, NULL);
}
