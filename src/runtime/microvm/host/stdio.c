#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Credit is given back in portions, not for every few bytes. */
enum { CREDIT_PORTION = FIRST_CREDIT / 4 };

struct output {
	/* What the descriptor has not taken: a ring that holds all that may come without new credit. */
	unsigned char waiting[FIRST_CREDIT];
	size_t start, length;
	/* What the guest may still send, and what was taken since it was last told. */
	uint32_t allowed, taken;
	bool ended;
	/* Nobody reads it any more: it is thrown away. */
	bool broken;
};

static struct link *peer;
static uint16_t stream;
static bool terminal;
static bool has_stdin, began;
/* Stdin is relayed, and not at its end. */
static bool reads;
static uint32_t stdin_allowed;
/* Of descriptors 1 and 2, which are also the channels. */
static struct output outputs[2];
static int flags[3];
static struct termios as_it_was;
static bool is_raw;

static void make_raw(void)
{
	if (tcgetattr(STDIN_FILENO, &as_it_was) != 0)
		return;
	struct termios raw = as_it_was;
	cfmakeraw(&raw);
	is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void stdio_open(struct link *to, uint16_t number, const struct records *run)
{
	peer = to;
	stream = number;
	stdin_allowed = outputs[0].allowed = outputs[1].allowed = FIRST_CREDIT;
	terminal = record_has(run, TAG_TERMINAL);
	has_stdin = terminal || record_has(run, TAG_STDIN);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		flags[fd] = fcntl(fd, F_GETFL);
		fcntl(fd, F_SETFL, flags[fd] | O_NONBLOCK);
	}
	if (terminal)
		make_raw();
}

void stdio_begin(void)
{
	reads = has_stdin;
	began = true;
	stdio_send_size();
}

void stdio_await_credit(void)
{
	stdin_allowed = 0;
}

void stdio_restore(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &as_it_was);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		fcntl(fd, F_SETFL, flags[fd]);
}

void stdio_send_size(void)
{
	struct winsize size;
	unsigned char value[4];
	if (!began || !terminal || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || (size.ws_row == 0 && size.ws_col == 0))
		return;
	put_u16(value, size.ws_row);
	put_u16(value + 2, size.ws_col);
	link_send_control(peer, stream, CONTROL_SIZE, value);
}

static void stdin_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	static unsigned char chunk[DATA_MOST];
	ssize_t got = read(STDIN_FILENO, chunk, stdin_allowed < sizeof chunk ? stdin_allowed : sizeof chunk);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		stdin_allowed -= (uint32_t)got;
		link_send_data(peer, stream, CHANNEL_IN, chunk, (size_t)got);
		return;
	}
	reads = false;
	/* A terminal has no half-close: it hung up. */
	if (!terminal)
		link_send_data(peer, stream, CHANNEL_IN, NULL, 0);
}

/* How much the descriptor took at once; all of it when nobody reads. */
static size_t push(int fd, struct output *output, const unsigned char *data, size_t length)
{
	size_t taken = 0;
	while (taken < length && !output->broken) {
		ssize_t written = write(fd, data + taken, length - taken);
		if (written > 0)
			taken += (size_t)written;
		else if (written < 0 && errno == EAGAIN)
			return taken;
		else if (written < 0 && errno != EINTR)
			output->broken = true;
	}
	return length;
}

/* Its reader sees the end while the process goes on; the number stays taken. */
static void close_if_over(int fd, const struct output *output)
{
	if (!output->ended || output->length > 0 || terminal)
		return;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, fd);
		close(null);
	}
}

static void give_credit(int fd, struct output *output, size_t taken)
{
	output->taken += (uint32_t)taken;
	if (output->taken < CREDIT_PORTION || output->ended)
		return;
	link_send_credit(peer, stream, (enum channel)fd, output->taken);
	output->allowed += output->taken;
	output->taken = 0;
}

static void output_flush(int fd)
{
	struct output *output = &outputs[fd - STDOUT_FILENO];
	while (output->length > 0) {
		size_t piece = sizeof output->waiting - output->start;
		if (piece > output->length)
			piece = output->length;
		size_t taken = push(fd, output, output->waiting + output->start, piece);
		output->start = (output->start + taken) % sizeof output->waiting;
		output->length -= taken;
		give_credit(fd, output, taken);
		if (taken < piece)
			return;
	}
	close_if_over(fd, output);
}

static void output_ready(void *subject, short events)
{
	(void)events;
	output_flush((int)(intptr_t)subject);
}

bool stdio_take_data(const struct frame *frame)
{
	uint8_t channel = frame->payload[0];
	const unsigned char *data = frame->payload + 1;
	size_t length = frame->length - 1;
	if (channel != CHANNEL_OUT && channel != CHANNEL_ERROR)
		return false;
	struct output *output = &outputs[channel - STDOUT_FILENO];
	if (output->ended || length > output->allowed)
		return false;
	output->ended = length == 0;
	output->allowed -= (uint32_t)length;
	size_t taken = output->length == 0 ? push(channel, output, data, length) : 0;
	for (size_t i = taken; i < length; i++)
		output->waiting[(output->start + output->length++) % sizeof output->waiting] = data[i];
	give_credit(channel, output, taken);
	close_if_over(channel, output);
	return true;
}

bool stdio_take_credit(const struct frame *frame)
{
	uint32_t bytes = get_u32(frame->payload + 1);
	if (frame->payload[0] != CHANNEL_IN || bytes > UINT32_MAX - stdin_allowed)
		return false;
	stdin_allowed += bytes;
	return true;
}

void stdio_poll(void)
{
	if (reads && stdin_allowed > 0 && peer->pending < GUEST_PENDING_MAX)
		poll_add(STDIN_FILENO, POLLIN, stdin_ready, NULL);
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (outputs[fd - STDOUT_FILENO].length > 0)
			poll_add(fd, POLLOUT, output_ready, (void *)(intptr_t)fd);
}

void stdio_end(void)
{
	reads = false;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		if (outputs[fd - STDOUT_FILENO].length == 0)
			continue;
		/* The end should not wait for a slow reader: a pipe is made large enough for the rest. */
		fcntl(fd, F_SETPIPE_SZ, fcntl(fd, F_GETPIPE_SZ) + FIRST_CREDIT);
		output_flush(fd);
	}
}

bool stdio_is_flushed(void)
{
	return outputs[0].length == 0 && outputs[1].length == 0;
}
