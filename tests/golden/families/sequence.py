"""Sequences: connectionist temporal classification, attention, recurrence."""

import numpy as np

from families.losses import REDUCTIONS
from harness import INF


def ctc(file):
    op = file.op("ctc_loss", (3e-5, 1e-5))

    def spoken(time, batch, classes, targets, inputs=None, counts=None, lists=False):
        """Log probabilities and labels other than class 0; lengths are attributes where `lists`."""
        x = op.uniform((time, batch, classes), -2, 2)
        x = np.asarray(x - np.log(np.exp(x).sum(-1, keepdims=True)), np.float32)
        args = {"log_probs": x, "targets": op.index(targets, max(classes - 1, 1)) + 1}
        inputs = inputs or [time] * batch
        counts = [targets[-1]] * batch if counts is None else counts
        if lists:
            return args, {"input_lengths": inputs, "target_lengths": counts}
        return args | {"input_lengths": np.int64(inputs), "target_lengths": np.int64(counts)}, {}

    def case(spoken, **attrs):
        op.case(spoken[0], **spoken[1], **attrs)

    for reduction in REDUCTIONS:
        for lists in (False, True):
            case(spoken(6, 3, 4, (3, 2), [6, 5, 4], [2, 1, 2], lists), reduction=reduction)
            case(spoken(7, 2, 5, (2, 3), [7, 6], [3, 0], lists), reduction=reduction, zero_infinity=True)
            case(spoken(8, 3, 4, (6,), [8, 7, 5], [3, 1, 2], lists), reduction=reduction)  # one behind the other
            # Too little time: infinite, with a gradient of NaN or, if one likes, 0.
            case(spoken(5, 3, 4, (3, 3), [2, 5, 1], [3, 2, 2], lists), reduction=reduction, zero_infinity=True)
            case(spoken(4, 3, 3, (3, 2), [0, 4, 0], [1, 2, 0], lists), reduction=reduction, zero_infinity=True)
        case(spoken(5, 2, 4, (2, 3), [2, 5], [3, 2]), reduction=reduction)
        case(spoken(1, 1, 2, (1, 1)), reduction=reduction)
        case(spoken(5, 2, 1, (2, 0)), reduction=reduction)  # nothing but blanks
        # Every label the same, and so a blank between them.
        same, attrs = spoken(9, 2, 3, (2, 4), [9, 8], [4, 3])
        case((same | {"targets": np.ones((2, 4), np.int64)}, attrs), reduction=reduction)
        # Exactly enough time.
        case((same | {"input_lengths": np.int64([7, 5])}, attrs), reduction=reduction)
        # Another blank, among the labels or not.
        other, attrs = spoken(6, 2, 5, (2, 2))
        case((other | {"targets": np.int64([[0, 1], [4, 0]])}, attrs), blank=3, reduction=reduction)
        case((other | {"targets": np.int64([[4, 1], [2, 2]])}, attrs), blank=4, reduction=reduction)
        one, attrs = spoken(6, 1, 4, (2,))
        alone = {"log_probs": one["log_probs"][:, 0], "targets": one["targets"]}
        case((alone | {"input_lengths": np.int64(6), "target_lengths": np.int64(2)}, {}), reduction=reduction)
        case((alone, {"input_lengths": [5], "target_lengths": [2]}), reduction=reduction)
        case(spoken(40, 2, 6, (2, 12), [40, 33], [12, 9]), reduction=reduction)
    case(spoken(300, 1, 4, (1, 20)), tol=(2e-4, 1e-4))
    case(spoken(150, 1, 3, (1, 70)), tol=(2e-4, 1e-4))
    case(spoken(6, 3, 4, (3, 2)))

    def bad(time, batch, classes, targets, **changes):
        args, attrs = spoken(time, batch, classes, targets, lists=bool(changes.pop("lists", False)))
        for key, value in changes.items():
            if key in ("log_probs", "targets"):
                args[key] = value
            elif isinstance(value, list) and "input_lengths" not in args:
                attrs[key] = value
            elif isinstance(value, list):
                args[key] = np.int64(value)
            else:
                attrs[key] = value
        op.raises(args, **attrs)

    for lists in (False, True):
        bad(6, 2, 4, (2, 2), input_lengths=[7, 6], lists=lists)
        bad(6, 2, 4, (2, 2), input_lengths=[-1, 6], lists=lists)
        bad(6, 2, 4, (2, 2), target_lengths=[3, 2], lists=lists)
        bad(6, 2, 4, (2, 2), target_lengths=[2, -1], lists=lists)
        bad(6, 2, 4, (2, 2), input_lengths=[6], lists=lists)
        bad(6, 2, 4, (2, 2), target_lengths=[2, 2, 2], lists=lists)
        bad(6, 2, 4, (4,), target_lengths=[2, 1], lists=lists)  # labels left over
        bad(6, 2, 4, (4,), target_lengths=[2, 3], lists=lists)
    bad(6, 2, 4, (3, 2))
    bad(6, 2, 4, (1, 2, 2))
    bad(6, 2, 4, (2, 2), blank=4)
    bad(6, 2, 4, (2, 2), blank=-1)
    bad(6, 2, 4, (2, 2), reduction="average")
    bad(6, 2, 4, (2, 2), log_probs=np.zeros((0, 2, 4), np.float32))


def attention(file):
    op = file.op("scaled_dot_product_attention", (2e-5, 1e-5))

    def heads(lead, length=3, keys=4, size=5, value=2, mask=None, kv=None):
        kv = lead if kv is None else kv
        args = {
            "query": op.uniform((*lead, length, size), -2, 2),
            "key": op.uniform((*kv, keys, size), -2, 2),
            "value": op.uniform((*kv, keys, value), -2, 2),
        }
        return args | ({} if mask is None else {"attn_mask": mask})

    def seen(shape):
        mask = op.bools(shape)
        mask[..., 0] = True
        return mask

    for lead in [(), (2,), (2, 3), (2, 1, 3)]:
        op.case(heads(lead))
        op.case(heads(lead), is_causal=True)
        op.case(heads(lead, 5, 2), is_causal=True)
        op.case(heads(lead), scale=0.3)
        op.case(heads(lead, mask=seen((3, 4))))
        op.case(heads(lead, mask=op.uniform((3, 4), -2, 2)))
        op.case(heads(lead, mask=seen((*lead, 3, 4))))
        op.case(heads(lead, mask=op.uniform((1, 4), -2, 2)), scale=1.0)
    blind = op.bools((3, 4))
    blind[1] = False
    op.case(heads((2, 2), mask=blind))  # a query that sees nothing
    op.case(heads((2,), mask=np.where(blind, np.float32(0), np.float32(-INF))), constant=("attn_mask",))
    op.case(heads((2,), mask=np.zeros((3, 4), bool)))
    op.case(heads((2, 3), mask=seen((2, 1, 1, 4))))
    op.case(heads((2,), mask=seen((4,))), grad=False)
    op.case(heads((2, 3), mask=seen((1, 3, 3, 1))))
    for lead, kv in [((2, 4), (2, 2)), ((2, 4), (2, 1)), ((2, 4), (2, 4)), ((6,), (2,)), ((1, 1, 3), (1, 1, 1))]:
        op.case(heads(lead, kv=kv), enable_gqa=True)
        op.case(heads(lead, kv=kv), enable_gqa=True, is_causal=True)
    op.case(heads((2, 3), kv=(1, 3)))
    op.case(heads((1, 3), kv=(2, 1)))
    op.case(heads((3,), kv=(2, 1)))
    for sizes in [(1, 1, 1, 1), (1, 7, 3, 1), (7, 1, 2, 3), (0, 4, 5, 2), (3, 4, 5, 0)]:
        op.case(heads((2,), *sizes))
    op.case(heads((0, 2)))
    op.case(heads((2,), 3, 0))  # no keys at all
    op.case(heads((2,)), scale=0.0)
    op.case(heads((2,)), scale=-1.0)
    op.case(heads((2,)), dropout_p=0.0)
    op.case(heads((1,), 13, 17, 8, 8))
    large = heads((2,))
    large["query"] *= np.float32(100)
    op.case(large, tol=(1e-4, 1e-4))
    op.raises(heads((2,), mask=seen((3, 4))), is_causal=True)
    op.raises(heads((2,), mask=seen((2, 4))))
    op.raises(heads((2,), mask=seen((5, 2, 3, 4))))
    op.raises(heads((2,), mask=np.ones((3, 4), np.int64)))
    op.raises(heads((2, 4), kv=(2, 2)))
    op.raises(heads((2, 4), kv=(2, 3)), enable_gqa=True)
    op.raises(heads(()), enable_gqa=True)
    op.raises(heads((2,)), dropout_p=1.5)
    op.raises(heads((2,)) | {"key": op.uniform((2, 4, 6))})
    op.raises(heads((2,)) | {"value": op.uniform((2, 3, 2))})
    op.raises({name: op.uniform((4,)) for name in ("query", "key", "value")})


def attention_heads(file):
    op = file.op("multi_head_attention_forward", (3e-5, 2e-5))

    def learned(size, sizes=None, bias=True, kv=False):
        args = {"out_proj_weight": op.uniform((size, size))}
        if sizes is None:
            args["in_proj_weight"] = op.uniform((3 * size, size))
        else:
            names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
            args |= {name: op.uniform((size, own)) for name, own in zip(names, (size, *sizes))}
        if bias:
            args |= {"in_proj_bias": op.uniform((3 * size,)), "out_proj_bias": op.uniform((size,))}
        if kv:
            args |= {"bias_k": op.uniform((1, 1, size)), "bias_v": op.uniform((1, 1, size))}
        return args

    def inputs(length, keys, batch, size, sizes=None):
        middle = () if batch is None else (batch,)
        ksize, vsize = sizes or (size, size)
        return {
            "query": op.uniform((length, *middle, size)),
            "key": op.uniform((keys, *middle, ksize)),
            "value": op.uniform((keys, *middle, vsize)),
        }

    def plain(size, heads, **attrs):
        attrs.setdefault("add_zero_attn", False)
        attrs.setdefault("dropout_p", 0.0)
        return {"embed_dim_to_check": size, "num_heads": heads, **attrs}

    def seen(shape):
        """True hides; the first key is never hidden."""
        mask = op.bools(shape)
        mask[..., 0] = False
        return mask

    for batch in (2, None):
        for extra in [{}, {"need_weights": False}, {"average_attn_weights": False}]:
            op.case(inputs(3, 4, batch, 6) | learned(6), **plain(6, 2, **extra))
            op.case(inputs(3, 4, batch, 6) | learned(6, bias=False), **plain(6, 3, add_zero_attn=True, **extra))
            op.case(
                inputs(2, 3, batch, 4, (5, 3)) | learned(4, (5, 3)),
                **plain(4, 2, use_separate_proj_weight=True, **extra)
            )
            op.case(inputs(3, 2, batch, 4) | learned(4, kv=True), **plain(4, 1, **extra))
            padding = {"key_padding_mask": seen((4,) if batch is None else (batch, 4))}
            op.case(inputs(3, 4, batch, 4) | learned(4) | padding, **plain(4, 2, **extra))
            op.case(inputs(3, 4, batch, 4) | learned(4) | {"attn_mask": seen((3, 4))}, **plain(4, 2, **extra))
            every = {"attn_mask": op.uniform((2 * (batch or 1), 3, 4))}
            op.case(inputs(3, 4, batch, 4) | learned(4) | every, **plain(4, 2, **extra))
    both = {"key_padding_mask": seen((2, 4)), "attn_mask": seen((3, 4))}
    op.case(inputs(3, 4, 2, 4) | learned(4, kv=True) | both, **plain(4, 2, add_zero_attn=True))
    hidden = np.triu(np.ones((3, 3), bool), 1)
    op.case(inputs(3, 3, 2, 4) | learned(4) | {"attn_mask": hidden}, **plain(4, 2, is_causal=True, need_weights=False))
    op.case(inputs(3, 3, 2, 4) | learned(4) | {"attn_mask": hidden}, **plain(4, 2, is_causal=True))
    op.case(inputs(3, 4, 2, 4) | learned(4), **plain(4, 2, dropout_p=0.5, training=False))
    op.case(inputs(1, 1, 1, 1) | learned(1), **plain(1, 1))
    op.raises(inputs(3, 4, 2, 6) | learned(6), **plain(6, 4))
    op.raises(inputs(3, 4, 2, 6) | learned(6), **plain(5, 1))
    op.raises(inputs(3, 4, 2, 6) | learned(6) | {"attn_mask": seen((3, 3))}, **plain(6, 2))
    op.raises(inputs(3, 4, 2, 6) | learned(6) | {"key_padding_mask": seen((2, 3))}, **plain(6, 2))
    op.raises(inputs(3, 4, 2, 6) | learned(6), **plain(6, 2, is_causal=True))
    op.raises(inputs(3, 4, 2, 6, (6, 5)) | learned(6), **plain(6, 2))


def recurrence_rnn(file):
    layers(file, [("rnn_tanh", 1), ("rnn_relu", 1)])


def recurrence_lstm(file):
    layers(file, [("lstm", 4)])


def recurrence_gru(file):
    layers(file, [("gru", 3)])


def layers(file, kinds):
    for name, gates in kinds:
        op = file.op(name, (3e-5, 1e-5))

        def args(
            time,
            batch,
            inputs,
            hidden,
            layers=1,
            sides=1,
            biases=True,
            first=False,
            project=None,
            op=op,
            name=name,
            gates=gates,
        ):
            out = project or hidden
            params = []
            for layer in range(layers):
                for _ in range(sides):
                    own = inputs if layer == 0 else sides * out
                    params += [op.uniform((gates * hidden, own)), op.uniform((gates * hidden, out))]
                    params += [op.uniform((gates * hidden,)) for _ in range(2 * biases)]
                    params += [op.uniform((out, hidden))] if project else []
            state = op.uniform((layers * sides, batch, out))
            if name == "lstm":
                state = [state, op.uniform((layers * sides, batch, hidden))]
            return {
                "input": op.uniform((batch, time, inputs) if first else (time, batch, inputs)),
                "hx": state,
                "params": params,
            }

        def attrs(layers=1, sides=1, biases=True, first=False, dropout=0.0, train=False):
            return {
                "has_biases": biases,
                "num_layers": layers,
                "dropout": dropout,
                "train": train,
                "bidirectional": sides == 2,
                "batch_first": first,
            }

        for options in [
            {},
            {"biases": False},
            {"layers": 2},
            {"layers": 3},
            {"sides": 2},
            {"sides": 2, "layers": 2},
            {"first": True},
            {"first": True, "sides": 2, "layers": 2, "biases": False},
        ]:
            for sizes in [(4, 2, 3, 2), (1, 3, 2, 3), (7, 1, 1, 1)]:
                op.case(args(*sizes, **options), **attrs(**options))
        op.case(args(3, 2, 3, 2, layers=2), **attrs(layers=2, train=True))
        op.case(args(3, 2, 3, 2, layers=2), **attrs(layers=2, dropout=0.5))
        op.case(args(30, 1, 2, 3), **attrs(), tol=(1e-4, 5e-5))
        if name == "lstm":
            for options in [{}, {"layers": 2, "sides": 2}, {"biases": False}]:
                op.case(args(4, 2, 3, 4, project=2, **options), **attrs(**options))
        op.raises(args(4, 2, 3, 2), **attrs(layers=2))
        op.raises(args(4, 2, 3, 2), **attrs(sides=2))
        if name != "lstm":  # where PyTorch's library of kernels does not look
            op.raises(args(4, 2, 3, 2) | {"input": op.uniform((4, 2, 5))}, **attrs())


def recurrence_cells(file):
    for name, gates in [("rnn_tanh_cell", 1), ("rnn_relu_cell", 1), ("lstm_cell", 4), ("gru_cell", 3)]:
        op = file.op(name, (2e-5, 1e-5))

        def cell(batch, inputs, hidden, biases=True, op=op, name=name, gates=gates):
            lead = () if batch is None else (batch,)
            state = op.uniform((*lead, hidden))
            args = {
                "input": op.uniform((*lead, inputs)),
                "hx": [state, op.uniform((*lead, hidden))] if name == "lstm_cell" else state,
                "w_ih": op.uniform((gates * hidden, inputs)),
                "w_hh": op.uniform((gates * hidden, hidden)),
            }
            if biases:
                args |= {"b_ih": op.uniform((gates * hidden,)), "b_hh": op.uniform((gates * hidden,))}
            return args

        for biases in (True, False):
            for sizes in [
                (2, 3, 4),
                (1, 1, 1),
                (5, 2, 3),
                (3, 7, 2),
                (2, 4, 4),
                (4, 1, 5),
                (1, 5, 1),
                (6, 3, 2),
                (0, 3, 2),
            ]:
                op.case(cell(*sizes, biases), tol=(2e-5, 1e-5))
        op.raises(cell(2, 3, 4) | {"input": op.uniform((2, 4))})
        op.raises(cell(2, 3, 4) | {"w_hh": op.uniform((gates * 4, 3))})


FAMILIES = [ctc, attention, attention_heads, recurrence_rnn, recurrence_lstm, recurrence_gru, recurrence_cells]
