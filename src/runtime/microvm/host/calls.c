#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So much of one channel may be on its way from the guest to a client: what a client that does not read makes us keep. */
enum { WINDOW = 256 * 1024, CREDIT_PORTION = 16 * 1024 };
enum { OWN_BODY_MAX = HEADER_SIZE + 4 };

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
	unsigned char body[OWN_BODY_MAX];
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
	struct record record;
	const unsigned char *at = call->body, *end = at + call->body_length;
	if (!record_next(&at, end, &record) || at != end || record.tag != tag || record.length != 4)
		return NULL;
	return record.value;
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
	bool is_signal = call->method == METHOD_SIGNAL;
	const unsigned char *value = only_value(call, is_signal ? TAG_SIGNAL : TAG_SIZE);
	if (value == NULL) {
		fail(call, EINVAL, "this is not the method's body");
	} else if (is_signal && guest_main_pid() == 0) {
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

static bool take_call(struct client *client, uint16_t number, const unsigned char *payload, size_t length)
{
	if (length < 5 || find(client, number) != NULL)
		return false;
	uint8_t method = payload[0];
	uint32_t body = get_u32(payload + 1);
	if (body > BODY_MAX || length - 5 > body)
		return false;
	bool is_own = method == METHOD_STARTED || method == METHOD_SIGNAL || method == METHOD_SIZE;
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
			       .body_left = body - (uint32_t)(length - 5) };
	for (int channel = 0; channel < CHANNELS; channel++)
		call->flows[channel].allowed = INITIAL_CREDIT;
	client->calls = call;
	client->calls_count++;
	if (is_own) {
		take_own_body(call, payload + 5, length - 5);
		return true;
	}
	by_stream[stream - STREAMS_OWN] = call;
	link_send(&guest_link, FRAME_CALL, stream, payload, length, NULL, 0);
	return true;
}

static void cancel(struct call *call)
{
	if (!call->cancelled)
		link_send(&guest_link, FRAME_CANCEL, call->stream, NULL, 0, NULL, 0);
	call->cancelled = true;
}

static bool take_body(struct call *call, const unsigned char *payload, size_t length)
{
	if (length == 0 || length > call->body_left)
		return false;
	call->body_left -= (uint32_t)length;
	if (call->stream == 0)
		take_own_body(call, payload, length);
	else
		link_send(&guest_link, FRAME_BODY, call->stream, payload, length, NULL, 0);
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
	if (call->client->link.pending >= INITIAL_CREDIT || flow->allowed >= WINDOW)
		return;
	uint32_t bytes = flow->owed < WINDOW - flow->allowed ? flow->owed : WINDOW - flow->allowed;
	if (bytes == 0 || (bytes < flow->owed && bytes < CREDIT_PORTION))
		return;
	link_send_credit(&guest_link, call->stream, channel, bytes);
	flow->allowed += bytes;
	flow->owed -= bytes;
}

/* And to the client what the guest allows; a guest that allows it byte by byte fills no queue. */
static void allow_client(struct call *call)
{
	struct flow *flow = &call->flows[0];
	if (flow->owed == 0 || call->client->link.pending > 0)
		return;
	link_send_credit(&call->client->link, call->number, 0, flow->owed);
	flow->allowed += flow->owed;
	flow->owed = 0;
}

void calls_go_on(struct client *client)
{
	for (struct call *call = client->calls; call != NULL; call = call->next) {
		if (call->stream == 0)
			continue;
		allow_client(call);
		allow_guest(call, 1);
		allow_guest(call, 2);
	}
}

static bool take_for_guest(struct call *call, uint8_t type, const unsigned char *payload, size_t length)
{
	bool passes = false;
	switch ((enum frame_type)type) {
	case FRAME_DATA:
		passes = length > 0 && payload[0] == 0 && spend(&call->flows[0], length - 1);
		break;
	case FRAME_CREDIT:
		if (length != 5 || (payload[0] != 1 && payload[0] != 2) || !owe(&call->flows[payload[0]], get_u32(payload + 1)))
			return false;
		allow_guest(call, payload[0]);
		return true;
	case FRAME_CONTROL:
		passes = length == 5 && (payload[0] == CONTROL_SIGNAL || payload[0] == CONTROL_SIZE);
		break;
	default:
		break;
	}
	if (passes)
		link_send(&guest_link, (enum frame_type)type, call->stream, payload, length, NULL, 0);
	return passes;
}

bool calls_take(struct client *client, uint8_t type, uint16_t number, const unsigned char *payload, size_t length)
{
	if (type < FRAME_CALL || type > FRAME_CANCEL)
		return false;
	if (type == FRAME_CALL)
		return take_call(client, number, payload, length);
	struct call *call = find(client, number);
	/* It crossed the result. */
	if (call == NULL)
		return true;
	if (type == FRAME_CANCEL) {
		if (length > 0)
			return false;
		if (call->stream == 0)
			fail(call, ECANCELED, "the call was cancelled");
		else
			cancel(call);
		return true;
	}
	if (type == FRAME_BODY)
		return take_body(call, payload, length);
	return call->body_left == 0 && call->stream != 0 && take_for_guest(call, type, payload, length);
}

static bool answer_event(struct call *call, const unsigned char *payload, size_t length)
{
	if (length == 0 || payload[0] < EVENT_STARTED || payload[0] > EVENT_LISTENING)
		return false;
	if (call->client == NULL)
		return true;
	link_withdraw_event(&call->client->link, call->number, payload[0]);
	link_send(&call->client->link, FRAME_EVENT, call->number, payload, length, NULL, 0);
	return true;
}

static bool answer_data(struct call *call, const unsigned char *payload, size_t length)
{
	if (length == 0 || (payload[0] != 1 && payload[0] != 2) || !spend(&call->flows[payload[0]], length - 1))
		return false;
	if (call->client == NULL)
		return true;
	link_send(&call->client->link, FRAME_DATA, call->number, payload, length, NULL, 0);
	allow_guest(call, payload[0]);
	return true;
}

bool calls_answer(uint8_t type, uint16_t stream, const unsigned char *payload, size_t length)
{
	if (stream >= STREAMS_OWN + STREAMS_MAX)
		return false;
	struct call *call = by_stream[stream - STREAMS_OWN];
	if (call == NULL)
		return false;
	switch ((enum frame_type)type) {
	case FRAME_DATA:
		return answer_data(call, payload, length);
	case FRAME_CREDIT:
		if (length != 5 || payload[0] != 0 || !owe(&call->flows[0], get_u32(payload + 1)))
			return false;
		if (call->client != NULL)
			allow_client(call);
		return true;
	case FRAME_EVENT:
		return answer_event(call, payload, length);
	case FRAME_RESULT:
		if (length < 4)
			return false;
		finish(call, get_u32(payload), payload + 4, length - 4);
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
