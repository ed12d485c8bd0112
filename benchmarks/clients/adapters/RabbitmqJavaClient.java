import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

/** RabbitMQ's Java client: blocking sockets, a confirm listener, consumers on its own threads. */
public final class RabbitmqJavaClient {
    private static final int CALLS_AT_ONCE = 100;
    private static final String REPLY_TO = "amq.rabbitmq.reply-to";
    /** Share of the messages that pass before the clock starts, for the compiler to do its work. */
    private static final double WARM_UP = 0.2;

    private final String scenario;
    private final Map<String, String> options;
    private final int count;
    private final int warmUp;
    private final int window;
    private final String queue;
    private final String queueType;
    private final byte[] body;
    private final BasicProperties properties;
    private final long[] waits;
    private int waited;
    private long wall;
    private long cpu;
    private int measured;
    private Channel channel;

    private RabbitmqJavaClient(String scenario, Map<String, String> options) {
        this.scenario = scenario;
        this.options = options;
        count = number("--count", 10_000);
        warmUp = Math.max(1, (int) (count * WARM_UP));
        window = number("--window", 100);
        queue = options.getOrDefault("--queue", "bench");
        queueType = options.get("--queue-type");
        body = new byte[number("--body", 100)];
        properties = properties(options.getOrDefault("--properties", "none"));
        waits = new long[count];
    }

    private int number(String name, int otherwise) {
        return Integer.parseInt(options.getOrDefault(name, Integer.toString(otherwise)));
    }

    // --- time -----------------------------------------------------------------------------

    private static long cpuNanoseconds() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private void start() {
        waited = 0;
        cpu = cpuNanoseconds();
        wall = System.nanoTime();
    }

    private void stop(int messages) {
        wall = System.nanoTime() - wall;
        cpu = cpuNanoseconds() - cpu;
        measured = messages;
    }

    private String percentile(double share) {
        return waited == 0
                ? "null"
                : String.format(Locale.ROOT, "%.2f", waits[(int) (waited * share)] / 1e3);
    }

    private static String peakRss() throws IOException {
        return Files.lines(Path.of("/proc/self/status"))
                .filter(line -> line.startsWith("VmHWM:"))
                .map(line -> line.replaceAll("\\D", ""))
                .findFirst()
                .orElse("0");
    }

    private void report(Connection connection) throws IOException {
        Arrays.sort(waits, 0, waited);
        System.out.printf(
                Locale.ROOT,
                "{\"count\": %d, \"wall\": %.6f, \"cpu\": %.6f, \"rss\": %s, \"p50\": %s, "
                        + "\"p99\": %s, \"client\": \"rabbitmq-java\", \"version\": \"%s\"}%n",
                measured, wall / 1e9, cpu / 1e9, peakRss(), percentile(0.50), percentile(0.99),
                connection.getClientProperties().get("version"));
        System.out.flush();
    }

    // --- publishing -----------------------------------------------------------------------

    private static BasicProperties properties(String which) {
        if (which.equals("none")) {
            return null;
        }
        BasicProperties.Builder builder = new BasicProperties.Builder()
                .deliveryMode(2)
                .contentType("application/json")
                .messageId("1f0c9e3a77b1");
        if (which.equals("three")) {
            return builder.build();
        }
        Date created = new Date(1_767_323_045_000L);
        Map<String, Object> headers = new HashMap<>();
        headers.put("attempt", 3L);
        headers.put("first-seen", created);
        headers.put("replayed", false);
        headers.put("source", "checkout");
        headers.put("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736");
        return builder.correlationId("9a1d2f7c")
                .replyTo("answers")
                .timestamp(created)
                .type("order.created")
                .appId("shop")
                .priority(5)
                .headers(headers)
                .build();
    }

    private void publishOne() throws IOException {
        channel.basicPublish("", queue, properties, body);
    }

    private void publish(int messages) throws Exception {
        for (int i = 0; i < messages; i++) {
            publishOne();
        }
        channel.queueDeclarePassive(queue); // answered behind all that was published
    }

    private void confirmEach(int messages) throws Exception {
        for (int i = 0; i < messages; i++) {
            long begun = System.nanoTime();
            publishOne();
            channel.waitForConfirmsOrDie();
            waits[waited++] = System.nanoTime() - begun;
        }
    }

    /** Counts the room in the window; the map knows what an ack of many messages covers. */
    private final class Window {
        private final ConcurrentSkipListMap<Long, Boolean> unconfirmed =
                new ConcurrentSkipListMap<>();
        private final Semaphore room = new Semaphore(window);

        Window() throws IOException {
            channel.confirmSelect();
            channel.addConfirmListener(this::settle, (tag, multiple) -> {
                throw new IOException("not confirmed");
            });
        }

        private void settle(long tag, boolean multiple) {
            if (!multiple) {
                unconfirmed.remove(tag);
                room.release();
                return;
            }
            int covered = 0;
            while (!unconfirmed.isEmpty() && unconfirmed.firstKey() <= tag) {
                unconfirmed.pollFirstEntry();
                covered++;
            }
            room.release(covered);
        }

        void publish(int messages) throws Exception {
            for (int i = 0; i < messages; i++) {
                room.acquire();
                unconfirmed.put(channel.getNextPublishSeqNo(), true);
                publishOne();
            }
            room.acquire(window);
            room.release(window);
        }
    }

    // --- consuming ------------------------------------------------------------------------

    /** Takes a number of messages from a queue, on a channel of its own. */
    private void consume(Channel on, String from, boolean noAck, int messages) throws Exception {
        CountDownLatch done = new CountDownLatch(messages);
        DefaultConsumer consumer = new DefaultConsumer(on) {
            @Override
            public void handleDelivery(
                    String tag, Envelope envelope, BasicProperties properties, byte[] content)
                    throws IOException {
                if (!noAck) {
                    on.basicAck(envelope.getDeliveryTag(), false);
                }
                done.countDown();
            }
        };
        if (!noAck) {
            on.basicQos(number("--prefetch", 100));
        }
        Map<String, Object> arguments =
                "stream".equals(queueType) ? Map.of("x-stream-offset", "first") : null;
        on.basicConsume(from, noAck, "", false, false, arguments, consumer);
        done.await();
    }

    /**
     * Warms up on another queue: the library reads ahead of its consumers, and would have read most
     * of this one before the clock starts.
     */
    private void consume(boolean noAck) throws Exception {
        String suffix = "-" + count; // what the synthetic peer is to deliver
        String other = queue.endsWith(suffix)
                ? queue.substring(0, queue.length() - suffix.length()) + "-" + warmUp
                : queue + "-warm-up";
        Channel first = channel.getConnection().createChannel();
        first.queueDeclare(other, queueType != null, false, false, queueArguments());
        for (int i = 0; i < warmUp; i++) {
            first.basicPublish("", other, properties, body);
        }
        consume(first, other, noAck, warmUp);
        first.queueDelete(other);
        first.close();
        start();
        consume(channel, queue, noAck, count);
        stop(count);
    }

    // --- calls ----------------------------------------------------------------------------

    /** Calls by direct reply-to: the answers' consumer makes room for the next call. */
    private final class Caller extends DefaultConsumer {
        private final Map<String, Long> begun = new ConcurrentHashMap<>();
        private final int atOnce = scenario.equals("rpc-each") ? 1 : CALLS_AT_ONCE;
        private final Semaphore room = new Semaphore(atOnce);

        Caller() throws IOException {
            super(channel);
            channel.basicConsume(REPLY_TO, true, this);
        }

        @Override
        public void handleDelivery(
                String tag, Envelope envelope, BasicProperties properties, byte[] content) {
            waits[waited++] = System.nanoTime() - begun.remove(properties.getCorrelationId());
            room.release();
        }

        void call(int messages) throws Exception {
            for (int i = 0; i < messages; i++) {
                room.acquire();
                String id = Integer.toString(i);
                begun.put(id, System.nanoTime());
                channel.basicPublish("", queue,
                        new BasicProperties.Builder().correlationId(id).replyTo(REPLY_TO).build(),
                        body);
            }
            room.acquire(atOnce);
            room.release(atOnce);
        }
    }

    // --- the scenarios --------------------------------------------------------------------

    private interface Work {
        void pass(int messages) throws Exception;
    }

    private void measure(Work work) throws Exception {
        work.pass(warmUp);
        start();
        work.pass(count);
        stop(count);
    }

    private Map<String, Object> queueArguments() {
        return queueType == null ? null : Map.of("x-queue-type", queueType);
    }

    private boolean run() throws Exception {
        channel.queueDeclare(queue, queueType != null, false, false, queueArguments());
        switch (scenario) {
            case "publish":
                measure(this::publish);
                return true;
            case "confirm-each":
                channel.confirmSelect();
                measure(this::confirmEach);
                return true;
            case "confirm-window":
                measure(new Window()::publish);
                return true;
            case "consume":
            case "consume-ack":
                consume(scenario.equals("consume"));
                return true;
            case "rpc-each":
            case "rpc-many":
                measure(new Caller()::call);
                return true;
            default:
                return false;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        RabbitmqJavaClient client = new RabbitmqJavaClient(arguments[0], options);
        ConnectionFactory factory = new ConnectionFactory();
        String url = options.getOrDefault("--url", "amqp://guest:guest@127.0.0.1:5672/");
        factory.setUri(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
        try (Connection connection = factory.newConnection()) {
            client.channel = connection.createChannel();
            if (client.run()) {
                client.report(connection);
            } else {
                System.out.printf("{\"unsupported\": \"no scenario %s\"}%n", client.scenario);
            }
        }
    }
}
