"""What tests, trials, benchmarks and labs share: namespaces, processes, victims, runs of pyinit."""
