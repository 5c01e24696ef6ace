"""Write pyinit/later/stacks/tables.py: the offsets in CPython's structures for reading stacks.

Usage: stack_tables.py [--to FILE] INCLUDE...

Each INCLUDE, such as /usr/include/python3.11, has the headers of one version, with `internal`.
It needs gcc. Up to 3.12 it writes offsets in the structures. From 3.13 on, the interpreter has a
table of these offsets, for debuggers, and this writes the position of each in the table.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent.parent / "pyinit" / "later" / "stacks" / "tables.py"

# By our name: structure and field in 3.11 and 3.12, and the field of the table from 3.13 on.
NAMES = {
    "head": ("_PyRuntimeState, interpreters.head", "runtime_state.interpreters_head"),
    "interpreter_next": ("PyInterpreterState, next", "interpreter_state.next"),
    "interpreter_threads": ("PyInterpreterState, threads.head", "interpreter_state.threads_head"),
    "thread_next": ("PyThreadState, next", "thread_state.next"),
    "thread_tid": ("PyThreadState, native_thread_id", "thread_state.native_thread_id"),
    "thread_frame": ("PyThreadState, cframe", "thread_state.current_frame"),
    "frame_previous": ("_PyInterpreterFrame, previous", "interpreter_frame.previous"),
    "frame_code": ("_PyInterpreterFrame, f_code", "interpreter_frame.executable"),
    "frame_instruction": ("_PyInterpreterFrame, prev_instr", "interpreter_frame.instr_ptr"),
    "frame_locals": ("_PyInterpreterFrame, localsplus", "interpreter_frame.localsplus"),
    "code_filename": ("PyCodeObject, co_filename", "code_object.filename"),
    "code_qualname": ("PyCodeObject, co_qualname", "code_object.qualname"),
    "code_lines": ("PyCodeObject, co_linetable", "code_object.linetable"),
    "code_first_line": ("PyCodeObject, co_firstlineno", "code_object.firstlineno"),
    "code_arguments": ("PyCodeObject, co_argcount", "code_object.argcount"),
    "code_instructions": ("PyCodeObject, co_code_adaptive", "code_object.co_code_adaptive"),
    "object_size": ("", "pyobject.size"),
    "object_type": ("PyObject, ob_type", "pyobject.ob_type"),
    "bytes_length": ("PyVarObject, ob_size", "bytes_object.ob_size"),
    "bytes_content": ("PyBytesObject, ob_sval", "bytes_object.ob_sval"),
    "text_state": ("PyASCIIObject, state", "unicode_object.state"),
    "text_length": ("PyASCIIObject, length", "unicode_object.length"),
    "text_content": ("", "unicode_object.asciiobject_size"),
}
# As NAMES, but the table has these only from 3.14 on.
LATER_NAMES = {
    "frame_top": ("_PyInterpreterFrame, stacktop", "interpreter_frame.stackpointer"),
    "generator_frame": ("PyGenObject, gi_iframe", "gen_object.gi_iframe"),
}
SIZES = {"object_size": "sizeof(PyObject)", "text_content": "sizeof(PyASCIIObject)"}
# Free-threaded builds have several copies of the instructions of a function.
COPIES = {"frame_copy": "interpreter_frame.tlbc_index", "code_copies": "code_object.co_tlbc"}
# In no table, but the same in each build of a version.
FIXED = {
    "cframe_frame": "offsetof(_PyCFrame, current_frame)",
    "object_frame": "offsetof(PyFrameObject, f_frame) - sizeof(PyObject)",
    "text_wide": "sizeof(PyCompactUnicodeObject) - sizeof(PyASCIIObject)",
    "signals_due": "offsetof(_PyRuntimeState, ceval.signals_pending)",
}
# Instead of signals_due: a thread's word in which one bit, of the main thread, is for signals.
THREAD_SIGNALS = {"thread_due": "offsetof(PyThreadState, eval_breaker)"}

PROGRAM = """
#define Py_BUILD_CORE
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include <internal/pycore_runtime.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_frame.h>
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_debug_offsets.h>
#include <internal/pycore_interpframe_structs.h>
#endif
int main(void)
{
#define put(name, value) printf("        \\"%s\\": %zu,\\n", name, (size_t)(value))
"""
OWN_TABLE, LONGER_TABLE = (3, 13), (3, 14)  # since when

HEAD = '''\
"""Offsets in CPython's structures, by version; written by scripts/stack_tables.py.

``DISTANCES`` are offsets in bytes within the structures. From 3.13 on, the interpreter has a table
of such offsets at the beginning of ``_PyRuntime`` (PEP 768): ``PLACES`` are offsets in that table.
``FIXED`` are the offsets that are in no table.
"""
'''


def version_of(include: Path) -> tuple[int, int]:
    """Return the Python version of some headers."""
    numbers = dict(
        line.split()[1:3]
        for line in (include / "patchlevel.h").read_text().splitlines()
        if line.startswith("#define PY_M")
    )
    return int(numbers["PY_MAJOR_VERSION"]), int(numbers["PY_MINOR_VERSION"])


def distances(version: tuple[int, int]) -> dict[str, str]:
    """Return the C expressions for DISTANCES or PLACES."""
    if version < OWN_TABLE:
        return {
            name: SIZES.get(name) or f"offsetof({structure})"
            for name, (structure, _field) in (NAMES | LATER_NAMES).items()
        }
    is_longer = version >= LONGER_TABLE
    names = NAMES | LATER_NAMES if is_longer else NAMES
    fields = {name: field for name, (_structure, field) in names.items()}
    fields |= COPIES if is_longer else {}
    return {name: f"offsetof(_Py_DebugOffsets, {field})" for name, field in fields.items()}


def fixed(version: tuple[int, int]) -> dict[str, str]:
    """Return the C expressions for FIXED."""
    values = dict(FIXED)
    if version >= OWN_TABLE:
        del values["cframe_frame"], values["signals_due"]
        values |= THREAD_SIGNALS
        if version < LONGER_TABLE:
            values |= {
                name: f"offsetof({structure})" for name, (structure, _) in LATER_NAMES.items()
            }
    return values


def run(include: Path, expressions: dict[str, str]) -> str:
    """Return the output of a program that is compiled with the headers."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "tables.c"), Path(folder, "tables")
        lines = "\n".join(f'    put("{name}", {value});' for name, value in expressions.items())
        source.write_text(f"{PROGRAM}{lines}\n    return 0;\n}}\n")
        # Debian has pyconfig.h in the folder above.
        folders = [f"-I{include}", f"-I{include}/internal", f"-I{include.parent}"]
        subprocess.run(["gcc", *folders, "-o", program, source], check=True)
        return subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout


def main(target: Path, includes: list[Path]) -> None:
    """Write the tables of all versions for which there are headers."""
    found = {version_of(include): include for include in includes}
    written = HEAD
    for name, of, wanted in (
        ("DISTANCES", distances, lambda version: version < OWN_TABLE),
        ("PLACES", distances, lambda version: version >= OWN_TABLE),
        ("FIXED", fixed, lambda _version: True),
    ):
        written += f"\n{name} = {{\n"
        for version in sorted(filter(wanted, found)):
            written += f"    {version}: {{\n{run(found[version], of(version))}    }},\n"
        written += "}\n"
    target.write_text(written)


if __name__ == "__main__":
    words = sys.argv[1:]
    to = Path(words[1]) if words[0] == "--to" else TARGET
    main(to, [Path(word) for word in (words[2:] if words[0] == "--to" else words)])
