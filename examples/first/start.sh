#!/bin/sh
python3 app.py helper &
python3 app.py server
