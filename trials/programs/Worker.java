import java.net.Socket;

/** A service with work in hand: its shutdown hook, which SIGTERM starts, waits for the work. */
class Worker {
    public static void main(String[] words) throws Exception {
        Thread work = new Thread(() -> finish(Integer.parseInt(words[0])));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> join(work)));
        work.start();
        Thread.currentThread().join(); // it serves for ever
    }

    private static void finish(int port) {
        try (Socket trial = new Socket("127.0.0.1", port)) {
            trial.getInputStream().read();
            trial.getOutputStream().write("finished\n".getBytes());
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    private static void join(Thread work) {
        try {
            work.join();
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }
}
