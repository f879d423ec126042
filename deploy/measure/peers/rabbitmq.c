/* Measures RabbitMQ: rabbitmq-peer publish|consume|both HOST PORT COUNT BODYBYTES
 *
 * A publisher sends persistent messages to a durable classic queue, with at most WINDOW of them unconfirmed; a consumer
 * acknowledges them, up to the newest in one frame (multiple=1) every ACK_EVERY messages: the fastest way that is still
 * explicit. Each has its own connection and thread. The time runs from before the first publish until every message is
 * confirmed, delivered, and its acknowledgement processed by the broker.
 *
 * Every message carries its number and has to arrive once and in order; anything else ends with exit code 1. To begin
 * with, the queue has to hold nothing, or for 'consume' just these messages. The whole run ends after LIMIT_SECONDS,
 * whatever it waits for. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 500, PREFETCH = 500, ACK_EVERY = 100, LIMIT_SECONDS = 120, CHANNEL = 1, MAX_COUNT = 10000000, MAX_BODY = 100000 };

static uint64_t count;
static size_t body_bytes;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "rabbitmq-peer: %s: %s\n", what, why);
  exit(1);
}

static void check(int status, const char *what) {
  if (status != AMQP_STATUS_OK) fail(what, amqp_error_string2(status));
}

static void check_reply(amqp_rpc_reply_t reply, const char *what) {
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) fail(what, amqp_error_string2(reply.library_error));
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail(what, "refused by the broker");
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static amqp_bytes_t queue(void) { return amqp_cstring_bytes("throughline"); }

/* Declares the durable queue, and says how many messages wait in it. */
static uint32_t declare(amqp_connection_state_t connection) {
  amqp_queue_declare_ok_t *declared = amqp_queue_declare(connection, CHANNEL, queue(), 0, 1, 0, 0, amqp_empty_table);
  check_reply(amqp_get_rpc_reply(connection), "queue.declare");
  return declared->message_count;
}

static amqp_connection_state_t open_connection(const char *host, int port) {
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (!socket) fail("socket", "out of memory");
  check(amqp_socket_open(socket, host, port), "connect");
  check_reply(amqp_login(connection, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
  amqp_channel_open(connection, CHANNEL);
  check_reply(amqp_get_rpc_reply(connection), "channel.open");
  declare(connection);
  return connection;
}

static void close_connection(amqp_connection_state_t connection) {
  check_reply(amqp_connection_close(connection, AMQP_REPLY_SUCCESS), "close");
  check(amqp_destroy_connection(connection), "destroy");
}

/* Which tags are confirmed: a confirm is for one tag or for all up to it, and the two kinds mix. */
struct confirms {
  unsigned char *seen; /* by tag, from 1 */
  uint64_t first;      /* the lowest tag that is not confirmed */
  uint64_t total;
};

static void confirm(struct confirms *confirms, uint64_t tag, int multiple) {
  if (tag == 0 || tag > count || (!multiple && confirms->seen[tag])) fail("confirm", "of a message that awaits none");
  for (uint64_t each = multiple ? confirms->first : tag; each <= tag; each++) {
    confirms->total += !confirms->seen[each];
    confirms->seen[each] = 1;
  }
  while (confirms->first <= count && confirms->seen[confirms->first]) confirms->first++;
}

/* Reads one frame, and more while there are some in memory already. */
static void await_confirms(amqp_connection_state_t connection, struct confirms *confirms) {
  do {
    amqp_frame_t frame;
    check(amqp_simple_wait_frame(connection, &frame), "confirm");
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
      fail("confirm", "the broker answered something else");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    confirm(confirms, ack->delivery_tag, ack->multiple);
  } while (amqp_frames_enqueued(connection) || amqp_data_in_buffer(connection));
  amqp_maybe_release_buffers(connection);
}

static void *publish(void *given) {
  amqp_connection_state_t connection = given;
  amqp_basic_properties_t persistent = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
  struct confirms confirms = {calloc(count + 1, 1), 1, 0};
  amqp_bytes_t body = {body_bytes, calloc(1, body_bytes)};
  if (!confirms.seen || !body.bytes) fail("publish", "out of memory");
  for (uint64_t number = 0; number < count; number++) {
    memcpy(body.bytes, &number, sizeof number);
    check(amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, queue(), 0, 0, &persistent, body), "publish");
    while (number + 1 - confirms.total >= WINDOW) await_confirms(connection, &confirms);
  }
  while (confirms.total < count) await_confirms(connection, &confirms);
  free(confirms.seen);
  free(body.bytes);
  return NULL;
}

static void *consume(void *given) {
  amqp_connection_state_t connection = given;
  for (uint64_t expected = 0; expected < count; expected++) {
    amqp_envelope_t envelope;
    uint64_t number;
    amqp_maybe_release_buffers(connection);
    check_reply(amqp_consume_message(connection, &envelope, NULL, 0), "consume");
    if (envelope.message.body.len != body_bytes) fail("consume", "a body of another length");
    memcpy(&number, envelope.message.body.bytes, sizeof number);
    if (number != expected || envelope.redelivered) fail("consume", "a message is lost, repeated or out of order");
    if ((expected + 1) % ACK_EVERY == 0 || expected + 1 == count)
      check(amqp_basic_ack(connection, CHANNEL, envelope.delivery_tag, 1), "ack");
    amqp_destroy_envelope(&envelope);
  }
  /* An acknowledgement has no answer; a call behind it on the same channel has one when it is processed. */
  declare(connection);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 6) fail("usage", "rabbitmq-peer publish|consume|both HOST PORT COUNT BODYBYTES");
  int both = !strcmp(argv[1], "both");
  int publishes = both || !strcmp(argv[1], "publish"), consumes = both || !strcmp(argv[1], "consume");
  count = strtoull(argv[4], NULL, 10);
  body_bytes = strtoull(argv[5], NULL, 10);
  if ((!publishes && !consumes) || count < 1 || count > MAX_COUNT || body_bytes < sizeof count || body_bytes > MAX_BODY)
    fail("usage", "a mode, count or body size out of its bounds");
  alarm(LIMIT_SECONDS);

  amqp_connection_state_t publisher = NULL, consumer = NULL;
  if (publishes) {
    publisher = open_connection(argv[2], atoi(argv[3]));
    amqp_confirm_select(publisher, CHANNEL);
    check_reply(amqp_get_rpc_reply(publisher), "confirm.select");
  }
  if (consumes) {
    consumer = open_connection(argv[2], atoi(argv[3]));
    amqp_basic_qos(consumer, CHANNEL, 0, PREFETCH, 0);
    check_reply(amqp_get_rpc_reply(consumer), "basic.qos");
    amqp_basic_consume(consumer, CHANNEL, queue(), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(consumer), "basic.consume");
  }

  pthread_t threads[2];
  int running = 0;
  double begun = now();
  if (publisher && pthread_create(&threads[running++], NULL, publish, publisher)) fail("thread", "not started");
  if (consumer && pthread_create(&threads[running++], NULL, consume, consumer)) fail("thread", "not started");
  while (running > 0) pthread_join(threads[--running], NULL);
  double seconds = now() - begun;

  /* What the closed consumer did not acknowledge would be in the queue again. */
  if (consumer) close_connection(consumer);
  if (both && declare(publisher) != 0) fail("queue", "messages are left in it");
  if (publisher) close_connection(publisher);
  printf("{\"events\":%llu,\"seconds\":%.3f,\"rate\":%.0f}\n", (unsigned long long)count, seconds, count / seconds);
  return 0;
}
