/*
 * hull-monitor: owns one process's stdio and log, outlives the engine, records the exit.
 * Files, frames and promises: protocol.md.
 */
#ifndef HULL_MONITOR_H
#define HULL_MONITOR_H

#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum frame_type {
	FRAME_STDIN = 0x00,
	FRAME_STDOUT = 0x01,
	FRAME_STDERR = 0x02,
	FRAME_ATTACH = 0x10,
	FRAME_START = 0x11,
	FRAME_RESIZE = 0x12,
	FRAME_HELLO = 0x20,
	FRAME_STARTED = 0x21,
	FRAME_FAILED = 0x22,
	FRAME_EXIT = 0x23,
	FRAME_DROPPED = 0x24,
};

enum { ATTACH_OUTPUT = 1, ATTACH_STDIN = 2 };
enum { STREAM_STDOUT, STREAM_STDERR, STREAMS };
/* Docker cuts longer lines into parts of this size. */
enum { CHUNK_SIZE = 32 * 1024, LINE_SIZE = 16 * 1024 };
/* The creator's connection, when there is one. */
enum { CREATOR_FD = 3 };

enum state { STATE_CREATED, STATE_STARTING, STATE_RUNNING, STATE_ENDED };

/* What the command line said. */
struct options {
	bool terminal;
	bool open_stdin;
	bool stdin_once;
	const char *log_path; /* NULL: no file */
	uid_t owner; /* of the pipes */
	gid_t group;
	int64_t log_max_size; /* 0: no rotation */
	int log_max_files;
	bool log_compress;
	const char *log_attributes; /* a JSON object, or NULL */
	/* TRANSPORT:ADDRESS as outbox.h has them, or NULL. */
	const char *syslog, *journal;
	char **syslog_relay; /* a program that carries it there, NULL at the end, or NULL */
	int syslog_facility;
	const char *syslog_format, *syslog_tag; /* the format may be NULL */
	char **journal_fields; /* NAME=VALUE, NULL at the end, or NULL */
	/* The process never waits for its log: beyond so many bytes that wait, records are dropped. */
	bool log_may_drop;
	size_t log_buffer;
	char **runtime; /* the OCI runtime's command line */
};

extern struct options options;
extern enum state state;
extern pid_t process_pid;
/* The process has ended: output no longer waits for slow clients. */
extern bool process_ended;

/* main.c */
void process_started(pid_t pid);
/* The runtime could not start it, for this reason. */
void process_failed(const char *error);
/* `status` as wait(2) has it. */
void process_exited(int status);

/* clients.c */
void clients_listen(const char *path);
void clients_stop_listening(void);
void clients_add(int fd);
void clients_poll(void);
bool clients_any(void);
bool clients_idle(void);
/* False while some client has not taken what it was sent. */
bool clients_took_output(void);
void clients_send_output(int stream, const void *data, size_t length);
void clients_send_event(enum frame_type type, const void *data, size_t length);

/* stdio.c */
void stdio_open(void);
/* The descriptors a child of ours gets as 0, 1 and 2. */
void stdio_child_ends(int ends[3]);
void stdio_close_child_ends(void);
void stdio_use_terminal(int master);
void stdio_resize(uint16_t rows, uint16_t columns);
void stdio_poll(void);
/* Milliseconds after which stdio_poll wants to be asked again; -1: not by itself. */
int stdio_patience(void);
bool stdin_accepts(void);
void stdin_write(const void *data, size_t length);
void stdin_close(void);
bool output_ended(void);
void output_give_up(void);

/* spawn.c: starts a program with these as 0, 1 and 2 (one after the other: none may be a later one's number), no signal blocked or ignored; its pid, or -1 with errno. */
pid_t spawn_program(char *const arguments[], const int ends[3]);

/* oci_runtime.c */
/* At the end of this turn, or of the one in which it is known whether the log's other end is there. */
void runtime_start(void);
void runtime_start_if_ready(void);
void runtime_poll(void);
/* A child was reaped: the runtime, the process, or nobody we know yet. */
void runtime_child_ended(pid_t pid, int status);

/* json.c: a JSON string's inside, escaped as Go's encoding/json does it. */
typedef void (*json_sink)(const char *data, size_t length);
void json_escape(const unsigned char *data, size_t length, json_sink sink);

/* timestamp.c: RFC 3339 in UTC as Go's time.RFC3339Nano: no zeros at the fraction's end, no fraction when it is zero. */
enum { TIME_SIZE = sizeof "2006-01-02T15:04:05.123456789Z" };
void format_time(char text[TIME_SIZE], const struct timespec *at);

/* A line of output without its newline, or a part of one. */
struct record {
	int stream;
	const unsigned char *data;
	size_t length;
	struct timespec at;
	/* The line ends here. */
	bool whole;
	/* Which part of a line it is, from 1; 0: all of it. The parts of one line share an id. */
	unsigned part;
	char id[65];
};

/* lines.c */
void log_output(int stream, const unsigned char *data, size_t length);
/* The stream has ended: what is left of its last line is written. */
void log_end(int stream);

/* log.c: everything that keeps or sends records. */
struct outbox;
void log_open(void);
bool log_wanted(void);
void log_record(const struct record *record);
void log_flush(void);
/* Whether the other end is known to be there or not; if not, why. */
bool log_settled(void);
const char *log_error(void);
/* False while output must wait for the log. */
bool log_takes(void);
/* All that was given is where it belongs. Nothing more may be given once this was asked. */
bool log_is_whole(void);
void log_close(void);
void log_poll(void);
int log_patience(void);
bool log_child_ended(pid_t pid);
void log_add(struct outbox *outbox);

/* json_file.c: Docker's json-file, with rotation. */
void json_file_open(void);
void json_file_record(const struct record *record);
void json_file_flush(void);
void json_file_close(void);

/* compress.c: one file at a time. */
void compress_start(char *path);
bool compress_busy(void);
bool compress_child_ended(pid_t pid);

/* syslog.c */
void syslog_open(void);
void syslog_record(const struct record *record);

/* journal.c: systemd's. */
void journal_open(void);
void journal_record(const struct record *record);

/* exit_record.c */
void exit_record_write(int status, const struct timespec *at, const char *error);
void exit_record_values(int status, uint32_t *code, uint32_t *signal);

/* bytes.c */
void put_u32(unsigned char *at, uint32_t value);
uint32_t get_u32(const unsigned char *at);
bool write_all(int fd, const void *data, size_t length);

#endif
