"""What the kernels of a program that XLA compiled for a GPU read and write, counted from its text.

An array that a kernel takes whole counts whole, however often it is read; of a slice counts the slice, of an update in
place what is updated. What a loop repeats counts as often.
"""

import collections
import dataclasses
import math
import re

BYTES = {'pred': 1, 's8': 1, 'u8': 1, 'bf16': 2, 'f16': 2, 'f32': 4, 's32': 4, 'u32': 4, 'f64': 8, 's64': 8, 'u64': 8}
ARRAY = re.compile(rf'\b({"|".join(BYTES)})\[([\d,]*)\]')
COMPUTATION = re.compile(r'(ENTRY )?%?([\w.\-]+) \(.*\{$')
INSTRUCTION = re.compile(r'\s+(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$')
NO_KERNELS = {'parameter', 'get-tuple-element', 'bitcast', 'tuple', 'constant', 'after-all', 'opt-barrier'}
PARTS = {'slice', 'dynamic-slice', 'gather'}


@dataclasses.dataclass
class Instruction:
    name: str
    form: str  # dtypes and shapes of what it gives
    operation: str
    rest: str  # operands and attributes
    is_root: bool

    @property
    def operands(self) -> list[str]:
        return re.findall(r'%([\w.\-]+)', self.rest.split('), ')[0])

    @property
    def size(self) -> int:
        sizes = (
            BYTES[dtype] * math.prod(map(int, filter(None, shape.split(','))))
            for dtype, shape in ARRAY.findall(self.form)
        )
        return sum(sizes)

    def attribute(self, pattern: str) -> str | None:
        found = re.search(pattern, self.rest)
        return found and found.group(1)

    @property
    def callee(self) -> str | None:
        return self.attribute(r'(?:body|calls|to_apply)=%?([\w.\-]+)')


Computation = dict[str, Instruction]


def computations(text: str) -> tuple[dict[str, Computation], str]:
    """The computations of a program by name, and the name of its entry."""
    found: dict[str, Computation] = {}
    current: Computation | None = None
    entry = ''
    for line in text.splitlines():
        if head := COMPUTATION.match(line):
            current = found[head.group(2)] = {}
            entry = head.group(2) if head.group(1) else entry
        elif line.startswith('}'):
            current = None
        elif current is not None and (match := INSTRUCTION.match(line)):
            root, name, *fields = match.groups()
            current[name] = Instruction(name, *fields, bool(root))
    return found, entry


def read_of(name: str, computation: Computation) -> int:
    """Bytes of a value that its users in a fused computation read."""
    total, whole = 0, computation[name].size
    for user in computation.values():
        if name not in user.operands:
            continue
        if user.operation in PARTS:
            total += user.size
        elif user.operation in ('bitcast', 'get-tuple-element'):
            total += read_of(user.name, computation)
        elif user.operation != 'dynamic-update-slice' or user.operands[0] != name:
            return whole
    return min(total, whole)


def written_by(name: str, computation: Computation) -> int:
    instruction = computation[name]
    if instruction.operation == 'tuple':
        return sum(written_by(operand, computation) for operand in instruction.operands)
    if instruction.operation == 'bitcast':
        return written_by(instruction.operands[0], computation)
    if instruction.operation == 'dynamic-update-slice':
        return computation[instruction.operands[1]].size
    return instruction.size


def fused_bytes(computation: Computation) -> int:
    read = sum(read_of(name, computation) for name, each in computation.items() if each.operation == 'parameter')
    (root,) = (name for name, each in computation.items() if each.is_root)
    return read + written_by(root, computation)


def kernels(text: str) -> dict[str, tuple[int, int]]:
    """For each kind of kernel, how many of it run, and the bytes that they read and write."""
    program, entry = computations(text)

    def of(name: str) -> collections.Counter:
        total: collections.Counter = collections.Counter()
        computation = program[name]
        for each in computation.values():
            operation = each.operation
            if operation in NO_KERNELS or operation.endswith(('-done', '-update')):
                continue
            if operation == 'while' or (operation in ('call', 'async-start', 'fusion-start') and each.callee):
                times = int(each.attribute(r'known_trip_count":\{"n":"(\d+)"') or 1)
                total.update({key: times * count for key, count in of(each.callee or '').items()})
                continue
            kind, size = _kernel(each, computation, program)
            total.update({(kind, 'runs'): 1, (kind, 'bytes'): size})
        return total

    counted = of(entry)
    kinds = {kind for kind, _ in counted}
    return {kind: (counted[kind, 'runs'], counted[kind, 'bytes']) for kind in kinds}


def _kernel(each: Instruction, computation: Computation, program: dict[str, Computation]) -> tuple[str, int]:
    if each.operation == 'fusion':
        kind = 'product' if '__triton_nested_gemm' in each.rest else 'fusion'
        return kind, fused_bytes(program[each.callee or ''])
    if each.operation in PARTS:
        return 'copy', 2 * each.size
    if each.operation == 'dynamic-update-slice':
        return 'copy', 2 * computation[each.operands[1]].size
    kind = each.attribute(r'custom_call_target="([^"]+)"') or each.operation
    return kind, each.size + sum(computation[name].size for name in each.operands if name in computation)
