/** A JVM whose shutdown hook does not come back. */
class Hang {
    public static void main(String[] arguments) throws InterruptedException {
        Object never = new Object();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            synchronized (never) {
                try {
                    never.wait();
                } catch (InterruptedException error) {
                    return;
                }
            }
        }));
        System.out.println("ready");
        Thread.sleep(Long.MAX_VALUE);
    }
}
