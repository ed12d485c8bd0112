// amqp091-go: publishings with a context, deliveries and confirms from channels.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	callsAtOnce = 100
	replyTo     = "amq.rabbitmq.reply-to"
	warmUpShare = 50
)

// version is set by the linker: the library does not tell its own.
var version = "unknown"

type options struct {
	scenario, url, properties, queue, queueType string
	count, body, window, prefetch               int
}

type measurement struct {
	count     int
	began     time.Time
	wall, cpu float64
	waits     []time.Duration
}

type client struct {
	options
	measurement
	channel *amqp.Channel
	message amqp.Publishing
	ctx     context.Context
}

// --- time ---------------------------------------------------------------------------------

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func (m *measurement) start() {
	m.waits = m.waits[:0]
	m.cpu = cpuSeconds()
	m.began = time.Now()
}

func (m *measurement) stop(count int) {
	m.wall = time.Since(m.began).Seconds()
	m.cpu = cpuSeconds() - m.cpu
	m.count = count
}

func (m *measurement) percentile(share float64) interface{} {
	if len(m.waits) == 0 {
		return nil
	}
	return m.waits[int(float64(len(m.waits))*share)].Seconds() * 1e6
}

// peakRSS reads VmHWM, since the peak of getrusage counts that of the parent too.
func peakRSS() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	size, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		return 0
	}
	return size
}

func (m *measurement) report() {
	sort.Slice(m.waits, func(i, j int) bool { return m.waits[i] < m.waits[j] })
	print(map[string]interface{}{
		"count": m.count, "wall": m.wall, "cpu": m.cpu, "rss": peakRSS(),
		"p50": m.percentile(0.50), "p99": m.percentile(0.99),
		"client": "amqp091-go", "version": version,
	})
}

func print(line map[string]interface{}) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

// --- setting up ---------------------------------------------------------------------------

func check(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func parse() options {
	var given options
	if len(os.Args) < 2 {
		log.Fatal("no scenario given")
	}
	given.scenario = os.Args[1]
	flags := flag.NewFlagSet(given.scenario, flag.ExitOnError)
	flags.StringVar(&given.url, "url", "amqp://guest:guest@127.0.0.1:5672/", "broker")
	flags.IntVar(&given.count, "count", 10000, "messages")
	flags.IntVar(&given.body, "body", 100, "bytes of a body")
	flags.StringVar(&given.properties, "properties", "none", "none, three or ten")
	flags.IntVar(&given.window, "window", 100, "unconfirmed messages")
	flags.IntVar(&given.prefetch, "prefetch", 100, "deliveries without an ack")
	flags.StringVar(&given.queue, "queue", "bench", "queue")
	flags.StringVar(&given.queueType, "queue-type", "", "classic, quorum or stream")
	flags.String("loop", "", "ignored")
	check(flags.Parse(os.Args[2:]), "options")
	return given
}

func (c *client) warmUp() int {
	if c.options.count < warmUpShare {
		return 1
	}
	return c.options.count / warmUpShare
}

func (c *client) declare() {
	arguments := amqp.Table{}
	if c.queueType != "" {
		arguments["x-queue-type"] = c.queueType
	}
	_, err := c.channel.QueueDeclare(c.queue, c.queueType != "", false, false, false, arguments)
	check(err, "queue.declare")
}

func (c *client) consume(queue string, noAck bool) <-chan amqp.Delivery {
	arguments := amqp.Table{}
	if c.queueType == "stream" {
		arguments["x-stream-offset"] = "first"
	}
	deliveries, err := c.channel.Consume(queue, "", noAck, false, false, false, arguments)
	check(err, "basic.consume")
	return deliveries
}

// --- publishing ---------------------------------------------------------------------------

func (given *options) publishing() amqp.Publishing {
	created := time.Unix(1767323045, 0)
	message := amqp.Publishing{Body: make([]byte, given.body)}
	if given.properties == "none" {
		return message
	}
	message.DeliveryMode = amqp.Persistent
	message.ContentType = "application/json"
	message.MessageId = "1f0c9e3a77b1"
	if given.properties == "three" {
		return message
	}
	message.CorrelationId = "9a1d2f7c"
	message.ReplyTo = "answers"
	message.Timestamp = created
	message.Type = "order.created"
	message.AppId = "shop"
	message.Priority = 5
	message.Headers = amqp.Table{
		"attempt":    int64(3),
		"first-seen": created,
		"replayed":   false,
		"source":     "checkout",
		"trace-id":   "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	return message
}

func (c *client) publish(message amqp.Publishing) {
	check(c.channel.PublishWithContext(c.ctx, "", c.queue, false, false, message), "basic.publish")
}

func (c *client) publishMany(count int) {
	for i := 0; i < count; i++ {
		c.publish(c.message)
	}
	_, err := c.channel.QueueDeclarePassive(c.queue, c.queueType != "", false, false, false, nil)
	check(err, "round trip") // answered behind all that was published
}

// confirms waits on a channel and not on deferred confirmations, which in release 1.5 are
// registered behind the write and miss an ack that comes at once.
func (c *client) confirms() chan amqp.Confirmation {
	confirms := c.channel.NotifyPublish(make(chan amqp.Confirmation, c.window))
	check(c.channel.Confirm(false), "confirm.select")
	return confirms
}

func wait(confirms chan amqp.Confirmation) {
	if confirmation := <-confirms; !confirmation.Ack {
		log.Fatal("not confirmed")
	}
}

func (c *client) confirmEach(confirms chan amqp.Confirmation, count int) {
	for i := 0; i < count; i++ {
		began := time.Now()
		c.publish(c.message)
		wait(confirms)
		c.waits = append(c.waits, time.Since(began))
	}
}

func (c *client) confirmWindow(confirms chan amqp.Confirmation, count int) {
	for i := 0; i < count; i++ {
		if i >= c.window {
			wait(confirms)
		}
		c.publish(c.message)
	}
	for i := 0; i < count && i < c.window; i++ {
		wait(confirms)
	}
}

// --- consuming ----------------------------------------------------------------------------

func (c *client) receive(deliveries <-chan amqp.Delivery, count int, acks bool) {
	for i := 0; i < count; i++ {
		delivery := <-deliveries
		if acks {
			check(delivery.Ack(false), "basic.ack")
		}
	}
}

// --- calls --------------------------------------------------------------------------------

func (c *client) call(answers <-chan amqp.Delivery, count, atOnce int) {
	began := make(map[string]time.Time, atOnce)
	called := 0
	for answered := 0; answered < count; answered++ {
		for called < count && len(began) < atOnce {
			id := strconv.Itoa(called)
			began[id] = time.Now()
			c.publish(amqp.Publishing{CorrelationId: id, ReplyTo: replyTo, Body: c.message.Body})
			called++
		}
		answer := <-answers
		c.waits = append(c.waits, time.Since(began[answer.CorrelationId]))
		delete(began, answer.CorrelationId)
	}
}

// --- the scenarios ------------------------------------------------------------------------

// measure does the work for the warm-up, then for all messages with the clock running.
func (c *client) measure(work func(count int)) {
	work(c.warmUp())
	c.start()
	work(c.options.count)
	c.stop(c.options.count)
}

func (c *client) run() {
	switch c.scenario {
	case "publish":
		c.measure(c.publishMany)
	case "confirm-each":
		confirms := c.confirms()
		c.measure(func(count int) { c.confirmEach(confirms, count) })
	case "confirm-window":
		confirms := c.confirms()
		c.measure(func(count int) { c.confirmWindow(confirms, count) })
	case "consume", "consume-ack":
		acks := c.scenario == "consume-ack"
		if acks {
			check(c.channel.Qos(c.prefetch, 0, false), "basic.qos")
		}
		// No warm-up: the library reads ahead of its user, and has soon read all there is.
		c.start()
		c.receive(c.consume(c.queue, !acks), c.options.count, acks)
		c.stop(c.options.count)
	case "rpc-each", "rpc-many":
		atOnce := callsAtOnce
		if c.scenario == "rpc-each" {
			atOnce = 1
		}
		answers := c.consume(replyTo, true)
		c.measure(func(count int) { c.call(answers, count, atOnce) })
	default:
		print(map[string]interface{}{"unsupported": fmt.Sprintf("no scenario %s", c.scenario)})
		os.Exit(0)
	}
}

func main() {
	log.SetFlags(0)
	given := parse()
	connection, err := amqp.Dial(given.url)
	check(err, "connect")
	channel, err := connection.Channel()
	check(err, "channel.open")
	c := &client{options: given, channel: channel, message: given.publishing(),
		ctx: context.Background()}
	c.declare()
	c.run()
	c.report()
	check(connection.Close(), "close")
}
