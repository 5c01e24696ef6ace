<?php
// Answers when the other end of a FIFO is closed, which is named in the query: slow.php?FIFO
readfile($_SERVER['QUERY_STRING']);
echo "hello from PHP\n";
