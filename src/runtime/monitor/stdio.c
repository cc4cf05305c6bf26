#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Our ends: the write end of stdin, the read ends of output; with a terminal its master is all of them. */
static int stdin_fd = -1;
static int output_fds[STREAMS] = { -1, -1 };
static int child_ends[3] = { -1, -1, -1 };
static bool ended[STREAMS];

/* Stdin that the process has not taken yet. While there is any, no client's stdin is read. */
static unsigned char *waiting;
static size_t waiting_length, waiting_offset;
static bool close_when_taken;
/* Stdin is closed for good: what clients still send is thrown away. */
static bool stdin_over;

static struct winsize size;

/* A terminal that nobody has open hangs up, until somebody opens it again: it is looked at from time to time. */
static int64_t hung_up_until;
enum { HANG_UP_MS = 50 };

static void pair(int *ours, int *theirs, bool we_read)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		_exit(1);
	/* Both ends are one file: a process in a user namespace opens it anew as /dev/stdout, and may only if it is its own. */
	if (options.owner != 0 || options.group != 0)
		(void)!fchown(ends[0], options.owner, options.group);
	*ours = ends[we_read ? 0 : 1];
	*theirs = ends[we_read ? 1 : 0];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
}

void stdio_open(void)
{
	for (int i = 0; i < 3; i++)
		child_ends[i] = STDIN_FILENO; /* /dev/null */
	if (options.terminal) {
		ended[STREAM_STDERR] = true;
		stdin_over = !options.open_stdin;
		return;
	}
	if (options.open_stdin)
		pair(&stdin_fd, &child_ends[0], false);
	else
		stdin_over = true;
	pair(&output_fds[STREAM_STDOUT], &child_ends[1], true);
	pair(&output_fds[STREAM_STDERR], &child_ends[2], true);
}

void stdio_child_ends(int ends[3])
{
	memcpy(ends, child_ends, sizeof child_ends);
}

void stdio_close_child_ends(void)
{
	for (int i = 0; i < 3; i++) {
		if (child_ends[i] > STDERR_FILENO)
			close(child_ends[i]);
		child_ends[i] = -1;
	}
}

void stdio_use_terminal(int master)
{
	fcntl(master, F_SETFL, O_NONBLOCK);
	output_fds[STREAM_STDOUT] = master;
	if (!stdin_over)
		stdin_fd = master;
	if (size.ws_row != 0 || size.ws_col != 0)
		ioctl(master, TIOCSWINSZ, &size);
}

void stdio_resize(uint16_t rows, uint16_t columns)
{
	size.ws_row = rows;
	size.ws_col = columns;
	if (options.terminal && output_fds[STREAM_STDOUT] >= 0)
		ioctl(output_fds[STREAM_STDOUT], TIOCSWINSZ, &size);
}

static void stdin_finish(void)
{
	free(waiting);
	waiting = NULL;
	waiting_length = waiting_offset = 0;
	stdin_over = true;
	if (stdin_fd >= 0 && stdin_fd != output_fds[STREAM_STDOUT])
		close(stdin_fd);
	stdin_fd = -1;
}

bool stdin_accepts(void)
{
	return waiting_length == 0;
}

/* How much the process took at once; all of it when it no longer listens. */
static size_t stdin_push(const unsigned char *data, size_t length)
{
	size_t taken = 0;
	while (stdin_fd >= 0 && taken < length) {
		ssize_t written = write(stdin_fd, data + taken, length - taken);
		if (written > 0) {
			taken += (size_t)written;
		} else if (errno == EAGAIN) {
			return taken;
		} else if (errno != EINTR) {
			stdin_finish();
			return length;
		}
	}
	return taken;
}

void stdin_write(const void *data, size_t length)
{
	const unsigned char *bytes = data;
	if (stdin_over || close_when_taken)
		return;
	size_t taken = waiting_length == 0 ? stdin_push(bytes, length) : 0;
	if (taken == length)
		return;
	/* At most what one turn of the loop read from the clients: they are not read again until this is taken. */
	unsigned char *grown = malloc(waiting_length + length - taken);
	if (grown == NULL)
		abort();
	if (waiting_length > 0)
		memcpy(grown, waiting + waiting_offset, waiting_length);
	memcpy(grown + waiting_length, bytes + taken, length - taken);
	free(waiting);
	waiting = grown;
	waiting_offset = 0;
	waiting_length += length - taken;
}

void stdin_close(void)
{
	/* A terminal has no half-close. */
	if (options.terminal)
		return;
	if (waiting_length > 0)
		close_when_taken = true;
	else
		stdin_finish();
}

static void stdin_ready(void *subject, short events)
{
	(void)subject;
	if (waiting_length == 0) {
		/* Nobody reads the pipe any more. */
		if ((events & POLLERR) != 0)
			stdin_finish();
		return;
	}
	size_t taken = stdin_push(waiting + waiting_offset, waiting_length);
	if (stdin_over)
		return;
	waiting_offset += taken;
	waiting_length -= taken;
	if (waiting_length > 0)
		return;
	free(waiting);
	waiting = NULL;
	waiting_offset = 0;
	if (close_when_taken)
		stdin_finish();
}

static void end_stream(int stream)
{
	if (ended[stream])
		return;
	ended[stream] = true;
	if (output_fds[stream] >= 0) {
		if (stdin_fd == output_fds[stream])
			stdin_fd = -1;
		close(output_fds[stream]);
		output_fds[stream] = -1;
	}
	log_end(stream);
	clients_send_output(stream, NULL, 0);
}

static void output_ready(void *subject, short events)
{
	static unsigned char chunk[CHUNK_SIZE];
	int stream = (int)(intptr_t)subject;
	/* An earlier stream's output may have filled a client's socket in this very turn. */
	if (!clients_took_output() || !log_takes())
		return;
	(void)events;
	ssize_t length = read(output_fds[stream], chunk, sizeof chunk);
	if (length > 0) {
		log_output(stream, chunk, (size_t)length);
		clients_send_output(stream, chunk, (size_t)length);
	} else if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	} else if (options.terminal && !process_ended) {
		hung_up_until = monotonic_ms() + HANG_UP_MS;
	} else {
		end_stream(stream);
	}
}

void stdio_poll(void)
{
	if (stdin_fd >= 0 && (waiting_length > 0 || !options.terminal))
		poll_add(stdin_fd, waiting_length > 0 ? POLLOUT : 0, stdin_ready, NULL);
	if (!clients_took_output() || !log_takes())
		return;
	if (stdio_patience() > 0)
		return;
	/* What comes before the runtime has ended may be its own words; they are the process's only if it did start it. */
	if (state == STATE_STARTING)
		return;
	hung_up_until = 0;
	for (int i = 0; i < STREAMS; i++)
		if (output_fds[i] >= 0)
			poll_add(output_fds[i], POLLIN, output_ready, (void *)(intptr_t)i);
}

int stdio_patience(void)
{
	if (hung_up_until == 0 || process_ended)
		return -1;
	int64_t left = hung_up_until - monotonic_ms();
	return left > 0 ? (int)left : 0;
}

bool output_ended(void)
{
	return output_fds[STREAM_STDOUT] < 0 && output_fds[STREAM_STDERR] < 0;
}

void output_give_up(void)
{
	for (int i = 0; i < STREAMS; i++)
		end_stream(i);
}
