#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So much of one channel may be on its way from the guest to a client: what a client that does not read makes us keep. */
enum { WINDOW = 256 * 1024, CREDIT_PORTION = 16 * 1024 };
enum { OWN_BODY_MOST = FRAME_HEADER + 4 };

/* One channel's way from its sender to its receiver. */
struct flow {
	/* What the sender may still send. */
	uint32_t allowed;
	/* What the receiver has allowed beyond that, and the sender was not told yet. */
	uint32_t owed;
	bool ended;
};

struct call {
	struct call *next;
	struct client *client; /* NULL: gone */
	uint16_t number; /* the client's */
	uint16_t stream; /* the guest's; 0 for a call that is our own */
	enum method method;
	uint32_t body_left;
	bool cancelled;
	struct flow flows[CHANNELS];
	/* Of a call of our own. */
	unsigned char body[OWN_BODY_MOST];
	size_t body_length;
};

static struct call *by_stream[STREAMS_MAX];

static struct call *find(const struct client *client, uint16_t number)
{
	struct call *call = client->calls;
	while (call != NULL && call->number != number)
		call = call->next;
	return call;
}

static void forget(struct call *call)
{
	if (call->client != NULL) {
		struct call **at = &call->client->calls;
		while (*at != call)
			at = &(*at)->next;
		*at = call->next;
		call->client->calls_count--;
	}
	if (call->stream != 0)
		by_stream[call->stream - STREAMS_OWN] = NULL;
	free(call);
}

static void finish(struct call *call, uint32_t error, const void *answer, size_t length)
{
	if (call->client != NULL)
		link_send_result(&call->client->link, call->number, error, answer, length);
	forget(call);
}

static void fail(struct call *call, uint32_t error, const char *words)
{
	finish(call, error, words, strlen(words));
}

static void succeed(struct call *call)
{
	finish(call, 0, NULL, 0);
}

static void answer_started(struct call *call)
{
	unsigned char pid[4];
	put_u32(pid, guest_main_pid());
	finish(call, 0, pid, sizeof pid);
}

/* The value of the only record of a body. */
static const unsigned char *only_value(const struct call *call, enum tag tag)
{
	const struct records body = { call->body, call->body_length };
	struct record record;
	size_t at = 0;
	if (!records_valid(&body, &tag, 1) || !record_next(&body, &at, &record) || at != body.length)
		return NULL;
	return record.value;
}

static void answer_checkpoint(struct call *call)
{
	static const enum tag end = TAG_END;
	const struct records body = { call->body, call->body_length };
	if (records_valid(&body, &end, 1))
		checkpoint_begin(call, record_has(&body, TAG_END));
	else
		fail(call, EINVAL, "this is not the method's body");
}

static void answer_own(struct call *call)
{
	if (call->method == METHOD_STARTED) {
		if (call->body_length > 0)
			fail(call, EINVAL, "STARTED has no body");
		else if (guest_main_pid() != 0)
			answer_started(call);
		return;
	}
	if (call->method == METHOD_CHECKPOINT) {
		answer_checkpoint(call);
		return;
	}
	bool is_signal = call->method == METHOD_SIGNAL;
	const unsigned char *value = only_value(call, is_signal ? TAG_SIGNAL : TAG_SIZE);
	if (value == NULL) {
		fail(call, EINVAL, "this is not the method's body");
	} else if (guest_main_pid() == 0) {
		fail(call, ESRCH, "the main process does not run");
	} else {
		link_send_control(&guest_link, STREAM_MAIN, is_signal ? CONTROL_SIGNAL : CONTROL_SIZE, value);
		succeed(call);
	}
}

/* The body is whole when nothing is left of it. */
static void take_own_body(struct call *call, const unsigned char *data, size_t length)
{
	if (length > sizeof call->body - call->body_length) {
		fail(call, EINVAL, "the body is too long");
		return;
	}
	memcpy(call->body + call->body_length, data, length);
	call->body_length += length;
	if (call->body_left == 0)
		answer_own(call);
}

static uint16_t free_stream(void)
{
	for (uint16_t i = 0; i < STREAMS_MAX; i++)
		if (by_stream[i] == NULL)
			return (uint16_t)(i + STREAMS_OWN);
	return 0;
}

static void pass_on(const struct call *call, const struct frame *frame)
{
	link_send(&guest_link, (enum frame_type)frame->type, call->stream, frame->payload, frame->length, NULL, 0);
}

static bool take_call(struct client *client, const struct frame *frame)
{
	uint16_t number = frame->stream;
	if (find(client, number) != NULL)
		return false;
	uint8_t method = frame->payload[0];
	size_t part = frame->length - CALL_HEADER;
	bool is_own = method >= METHOD_STARTED && method <= METHOD_CHECKPOINT;
	uint16_t stream = is_own ? 0 : free_stream();
	if (client->calls_count == CLIENT_STREAMS_MAX || (stream == 0 && !is_own)) {
		static const char words[] = "too many calls are open";
		link_send_result(&client->link, number, EAGAIN, words, sizeof words - 1);
		return true;
	}
	struct call *call = allocate(sizeof *call);
	*call = (struct call){ .next = client->calls,
			       .client = client,
			       .number = number,
			       .stream = stream,
			       .method = method,
			       .body_left = get_u32(frame->payload + 1) - (uint32_t)part };
	for (int channel = 0; channel < CHANNELS; channel++)
		call->flows[channel].allowed = FIRST_CREDIT;
	client->calls = call;
	client->calls_count++;
	if (is_own) {
		take_own_body(call, frame->payload + CALL_HEADER, part);
		return true;
	}
	by_stream[stream - STREAMS_OWN] = call;
	pass_on(call, frame);
	return true;
}

static void cancel(struct call *call)
{
	if (!call->cancelled)
		link_send(&guest_link, FRAME_CANCEL, call->stream, NULL, 0, NULL, 0);
	call->cancelled = true;
}

static bool take_body(struct call *call, const struct frame *frame)
{
	if (frame->length > call->body_left)
		return false;
	call->body_left -= frame->length;
	if (call->stream == 0)
		take_own_body(call, frame->payload, frame->length);
	else
		pass_on(call, frame);
	return true;
}

/* DATA from either side, against its flow. */
static bool spend(struct flow *flow, size_t length)
{
	if (flow->ended || length > flow->allowed)
		return false;
	flow->ended = length == 0;
	flow->allowed -= (uint32_t)length;
	return true;
}

static bool owe(struct flow *flow, uint32_t bytes)
{
	if (bytes > UINT32_MAX - flow->allowed - flow->owed)
		return false;
	flow->owed += bytes;
	return true;
}

/* Passes on to the guest what the client allows, as long as the client takes what it gets. */
static void allow_guest(struct call *call, uint8_t channel)
{
	struct flow *flow = &call->flows[channel];
	if (call->client->link.pending >= FIRST_CREDIT || flow->allowed >= WINDOW)
		return;
	uint32_t bytes = flow->owed < WINDOW - flow->allowed ? flow->owed : WINDOW - flow->allowed;
	if (bytes == 0 || (bytes < flow->owed && bytes < CREDIT_PORTION))
		return;
	link_send_credit(&guest_link, call->stream, (enum channel)channel, bytes);
	flow->allowed += bytes;
	flow->owed -= bytes;
}

/* And to the client what the guest allows; a guest that allows it byte by byte fills no queue. */
static void allow_client(struct call *call)
{
	struct flow *flow = &call->flows[CHANNEL_IN];
	if (flow->owed == 0 || call->client->link.pending > 0)
		return;
	link_send_credit(&call->client->link, call->number, CHANNEL_IN, flow->owed);
	flow->allowed += flow->owed;
	flow->owed = 0;
}

void calls_go_on(struct client *client)
{
	for (struct call *call = client->calls; call != NULL; call = call->next) {
		if (call->stream == 0)
			continue;
		allow_client(call);
		allow_guest(call, CHANNEL_OUT);
		allow_guest(call, CHANNEL_ERROR);
	}
}

/* Of a call whose body is whole. */
static bool take_further(struct call *call, const struct frame *frame)
{
	uint8_t channel = frame->payload[0];
	switch ((enum frame_type)frame->type) {
	case FRAME_DATA:
		if (channel != CHANNEL_IN || !spend(&call->flows[CHANNEL_IN], frame->length - 1))
			return false;
		break;
	case FRAME_CREDIT:
		if (channel == CHANNEL_IN || !owe(&call->flows[channel], get_u32(frame->payload + 1)))
			return false;
		allow_guest(call, channel);
		return true;
	case FRAME_CONTROL:
		break;
	default:
		return false;
	}
	pass_on(call, frame);
	return true;
}

static bool take_checkpoint_further(struct call *call, const struct frame *frame)
{
	struct flow *flow = &call->flows[CHANNEL_OUT];
	if (frame->type == FRAME_DATA)
		return frame->payload[0] == CHANNEL_IN && frame->length == 1 && checkpoint_kept();
	if (frame->type != FRAME_CREDIT || frame->payload[0] != CHANNEL_OUT)
		return false;
	uint32_t bytes = get_u32(frame->payload + 1);
	if (bytes > UINT32_MAX - flow->allowed)
		return false;
	flow->allowed += bytes;
	return true;
}

void call_answer(struct call *call, uint32_t error, const char *words)
{
	fail(call, error, words);
}

void call_tell_event(const struct call *call, enum event kind)
{
	unsigned char head = (unsigned char)kind;
	link_send(&call->client->link, FRAME_EVENT, call->number, &head, 1, NULL, 0);
}

void call_tell_data(struct call *call, const void *data, size_t length)
{
	spend(&call->flows[CHANNEL_OUT], length);
	link_send_data(&call->client->link, call->number, CHANNEL_OUT, data, length);
}

bool call_is_of(const struct call *call, const struct client *client)
{
	return call->client == client;
}

size_t call_room(const struct call *call)
{
	return call->client->link.pending < WINDOW ? call->flows[CHANNEL_OUT].allowed : 0;
}

bool calls_take(struct client *client, const struct frame *frame)
{
	if (frame->type == FRAME_CALL)
		return take_call(client, frame);
	struct call *call = find(client, frame->stream);
	if (frame->type > FRAME_CANCEL)
		return false;
	/* It crossed the result. */
	if (call == NULL)
		return true;
	if (frame->type == FRAME_BODY)
		return take_body(call, frame);
	bool is_checkpoint = call->method == METHOD_CHECKPOINT && call->body_left == 0;
	if (frame->type != FRAME_CANCEL && is_checkpoint)
		return take_checkpoint_further(call, frame);
	if (frame->type != FRAME_CANCEL)
		return call->body_left == 0 && call->stream != 0 && take_further(call, frame);
	if (is_checkpoint)
		checkpoint_cancel(false);
	else if (call->stream == 0)
		fail(call, ECANCELED, "the call was cancelled");
	else
		cancel(call);
	return true;
}

static bool answer_event(struct call *call, const struct frame *frame)
{
	uint8_t kind = frame->payload[0];
	if (kind < EVENT_STARTED || kind > EVENT_LISTENING)
		return false;
	if (call->client == NULL)
		return true;
	link_withdraw_event(&call->client->link, call->number, kind);
	link_send(&call->client->link, FRAME_EVENT, call->number, frame->payload, frame->length, NULL, 0);
	return true;
}

static bool answer_data(struct call *call, const struct frame *frame)
{
	uint8_t channel = frame->payload[0];
	if (channel == CHANNEL_IN || !spend(&call->flows[channel], frame->length - 1))
		return false;
	if (call->client == NULL)
		return true;
	link_send(&call->client->link, FRAME_DATA, call->number, frame->payload, frame->length, NULL, 0);
	allow_guest(call, channel);
	return true;
}

bool calls_answer(const struct frame *frame)
{
	if (frame->stream >= STREAMS_OWN + STREAMS_MAX)
		return false;
	struct call *call = by_stream[frame->stream - STREAMS_OWN];
	if (call == NULL)
		return false;
	switch ((enum frame_type)frame->type) {
	case FRAME_DATA:
		return answer_data(call, frame);
	case FRAME_CREDIT:
		if (frame->payload[0] != CHANNEL_IN || !owe(&call->flows[CHANNEL_IN], get_u32(frame->payload + 1)))
			return false;
		if (call->client != NULL)
			allow_client(call);
		return true;
	case FRAME_EVENT:
		return answer_event(call, frame);
	case FRAME_RESULT:
		finish(call, get_u32(frame->payload), frame->payload + 4, frame->length - 4);
		return true;
	default:
		return false;
	}
}

void calls_client_gone(struct client *client)
{
	while (client->calls != NULL) {
		struct call *call = client->calls;
		if (call->stream == 0) {
			if (call->method == METHOD_CHECKPOINT && call->body_left == 0)
				checkpoint_cancel(true);
			forget(call);
			continue;
		}
		cancel(call);
		client->calls = call->next;
		call->client = NULL;
	}
	client->calls_count = 0;
}

void calls_tell_started(uint32_t error, const char *words)
{
	for (struct client *client = clients; client != NULL; client = client->next)
		for (struct call *call = client->calls, *next; call != NULL; call = next) {
			next = call->next;
			if (call->method != METHOD_STARTED || call->body_left > 0)
				continue;
			if (error != 0)
				fail(call, error, words);
			else
				answer_started(call);
		}
}

void calls_fail_all(uint32_t error, const char *words)
{
	for (struct client *client = clients; client != NULL; client = client->next)
		while (client->calls != NULL)
			fail(client->calls, error, words);
}
