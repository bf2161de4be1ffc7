"""The texts of the command line."""

from __future__ import annotations

FORMATS = ("text", "json", "jsonl", "csv", "prometheus", "hgrm")
"""What a report can be printed as."""

HELP = """\
bpftop: live request latency of a server, per client, counted in the kernel.

  sudo bpftop nginx              where does the time go, and for whom?
  sudo bpftop :8080              whatever listens on port 8080
  sudo bpftop 1234               one process and its children
  sudo bpftop /usr/sbin/nginx    whatever runs this program
  sudo bpftop nginx.service      a systemd unit; or container:ID, cgroup:PATH
  bpftop demo                    a demo server with a story; no root needed
  bpftop demo --simulate=flood   practise on a scenario; bpftop --simulate list

commands
  watch TARGET       the live screen; `bpftop TARGET` is short for it
  report TARGET      measure for a while, then print: text, JSON, CSV and more
  record TARGET      into a file to be replayed, or single events as CSV
  replay FILE        show a recording on the screen; report FILE prints it
  serve TARGET       for Prometheus to scrape, or to OpenTelemetry
  compare BASE NOW   two recordings, reports or CSV files: did it get slower?
  run FILE.bt        any bpftrace program, on a live screen or to stdout
  scripts            what can be measured, and whether this host can
  script NAME        print a script as plain bpftrace
  demo               watch the built-in demo server
  doctor [TARGET]    what this host has and lacks; --try attaches the scripts

Options of a command: bpftop report --help
A process that is named like a command: bpftop watch report

  -h, --help         this text; so does bpftop help
  --version          the version

exit codes
  0  fine
  1  a regression was found
  2  wrong words, a file that cannot be read or written, a program that
     bpftrace refuses or that ends itself with an error
  3  this host cannot trace: bpftop doctor tells why
  4  no sample or too few, more than 0.1 % of the events lost, or a run that
     was cut: nothing is proven
  70 a defect of bpftop itself
  129, 130, 143  ended by SIGHUP, ctrl+c, SIGTERM
"""

VERSION = "bpftop (latency monitor) {version}"

NO_TARGET = "name a target: a process name, a process id, :PORT, a path, a systemd unit or a container"
