#include "monitor.h"
#include "outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* At most one to the log's server and one to the writer. */
static struct outbox *outboxes[2];
static size_t outbox_count;

/* Records that were dropped and not told of yet, and when that may be done. */
enum { TELL_PAUSE_MS = 10000 };
static uint32_t dropped;
static int64_t tell_at;

/*
 * Where the process must not wait for the file, another process writes it: a file can be as slow as any server, and nothing can be
 * written to it without waiting. One packet is one record: this, and then its bytes.
 */
struct packet {
	struct record record;
	unsigned char data[LINE_SIZE];
};
static struct outbox *writer;
static pid_t writer_pid;

static size_t packet_size(size_t length)
{
	return offsetof(struct packet, data) + length;
}

static void write_packets(int fd)
{
	static struct packet packet;
	ssize_t length;
	while ((length = recv(fd, &packet, sizeof packet, 0)) != 0) {
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			break;
		packet.record.data = packet.data;
		json_file_record(&packet.record);
		char more;
		if (recv(fd, &more, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			json_file_flush();
	}
	json_file_close();
	while (compress_busy())
		usleep(10000);
}

static void start_writer(void)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		_exit(1);
	writer_pid = fork();
	if (writer_pid < 0)
		_exit(1);
	if (writer_pid == 0) {
		close(ends[0]);
		close(CREATOR_FD);
		json_file_open();
		write_packets(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	writer = outbox_adopt(ends[0]);
	log_add(writer);
}

void log_add(struct outbox *outbox)
{
	if (outbox == NULL)
		_exit(1);
	outboxes[outbox_count++] = outbox;
}

bool log_wanted(void)
{
	return options.log_path != NULL || options.syslog != NULL || options.journal != NULL;
}

void log_open(void)
{
	if (options.log_path != NULL && options.log_may_drop)
		start_writer();
	else
		json_file_open();
	syslog_open();
	journal_open();
}

void log_record(const struct record *record)
{
	if (writer != NULL) {
		static struct packet packet;
		packet.record = *record;
		memcpy(packet.data, record->data, record->length);
		outbox_send(writer, &packet, packet_size(record->length));
	} else {
		json_file_record(record);
	}
	syslog_record(record);
	journal_record(record);
}

void log_flush(void)
{
	json_file_flush();
}

bool log_settled(void)
{
	for (size_t i = 0; i < outbox_count; i++)
		if (!outbox_settled(outboxes[i]))
			return false;
	return true;
}

const char *log_error(void)
{
	for (size_t i = 0; i < outbox_count; i++)
		if (outbox_error(outboxes[i]) != NULL)
			return outbox_error(outboxes[i]);
	return NULL;
}

bool log_takes(void)
{
	if (options.log_may_drop)
		return true;
	for (size_t i = 0; i < outbox_count; i++)
		if (!outbox_takes(outboxes[i]))
			return false;
	return true;
}

bool log_is_whole(void)
{
	for (size_t i = 0; i < outbox_count; i++)
		if (!outbox_empty(outboxes[i]))
			return false;
	/* It ends when it has written what it got. */
	if (writer != NULL)
		outbox_close(writer);
	return writer_pid == 0 && !compress_busy();
}

bool log_child_ended(pid_t pid)
{
	if (pid != writer_pid || pid == 0)
		return compress_child_ended(pid);
	writer_pid = 0;
	return true;
}

/* Told at once, and then not too often. */
static void tell_dropped(int64_t now)
{
	for (size_t i = 0; i < outbox_count; i++)
		dropped += outbox_take_dropped(outboxes[i]);
	if (dropped == 0 || now < tell_at)
		return;
	unsigned char payload[4];
	put_u32(payload, dropped);
	clients_send_event(FRAME_DROPPED, payload, sizeof payload);
	dropped = 0;
	tell_at = now + TELL_PAUSE_MS;
}

void log_poll(void)
{
	for (size_t i = 0; i < outbox_count; i++)
		outbox_poll(outboxes[i]);
	tell_dropped(monotonic_ms());
}

int log_patience(void)
{
	int patience = dropped > 0 ? until(tell_at) : -1;
	for (size_t i = 0; i < outbox_count; i++)
		patience = sooner(patience, outbox_patience(outboxes[i]));
	return patience;
}

void log_close(void)
{
	json_file_close();
	for (size_t i = 0; i < outbox_count; i++)
		outbox_close(outboxes[i]);
	tell_dropped(INT64_MAX - TELL_PAUSE_MS);
	options.syslog = options.journal = NULL;
}
