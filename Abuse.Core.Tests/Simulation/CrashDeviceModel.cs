namespace Abuse.Core.Tests;

/// <summary>
/// One atomic unit, of two halves, of a disk with a volatile cache, as a machine that may do anything at any moment that a disk may: apply a
/// write that it was given, and copy the unit from the cache to the medium. The set of all states that it can be in is carried along a trace.
/// </summary>
/// <remarks>
/// Written against the words of the rules, not against the explorer: a write is applied before it is answered; a FUA write is copied after it
/// was applied and before it is answered; a flush has the unit copied between its submission and its answer. A write that fails was applied
/// before that or never is. A failed flush does nothing; or the cache forgets any of the writes that it has and that were not copied, whole as
/// they were given, unless a FUA write is to be copied.
/// </remarks>
internal sealed class CrashDeviceModel
{
    private readonly HashSet<State> _states;
    private readonly bool _drops;

    /// <summary>Writes that may be applied, a bit each.</summary>
    private readonly int _possible;
    private readonly IReadOnlyList<OpKind> _ops;

    internal CrashDeviceModel(IReadOnlyList<OpKind> ops, bool drops)
        : this(ops, drops, [new State("", -1, -1, 0, 0)], 0)
    {
    }

    private CrashDeviceModel(IReadOnlyList<OpKind> ops, bool drops, HashSet<State> states, int possible)
    {
        _ops = ops;
        _drops = drops;
        _states = states;
        _possible = possible;
        Close();
    }

    internal enum OpKind
    {
        Write,
        FuaWrite,
        FirstHalf,
        SecondHalf,
        FuaSecondHalf,
        FailedWrite,
        FailedFirstHalf,
        Flush,
        FailedFlush,
    }

    /// <summary>What a power loss may leave: for each half the number of a write, or -1 for the content at the start.</summary>
    internal (int First, int Second)[] Left => [.. _states.Select(static state => (state.DurableFirst, state.DurableSecond)).Distinct().Order()];

    internal CrashDeviceModel Submit(int op)
    {
        if (!IsFlush(op))
        {
            return With([.. _states], _possible | 1 << op);
        }

        HashSet<State> states = [.. _states.Select(state => state with { Wants = state.Wants | 1 << op })];
        for (int dropped = 0; _drops && _ops[op] == OpKind.FailedFlush && dropped <= _possible; dropped++)
        {
            states.UnionWith([.. states.Where(state => !IsFuaPending(state)).Select(state => state with { Cached = Without(state.Cached, dropped) })]);
        }

        return With(states, _possible);
    }

    internal CrashDeviceModel Complete(int op)
    {
        int bit = 1 << op;
        return _ops[op] switch
        {
            OpKind.Flush => With([.. _states.Where(state => (state.Wants & bit) == 0)], _possible),
            OpKind.FailedFlush => With([.. _states.Select(state => state with { Wants = state.Wants & ~bit })], _possible),
            OpKind.FailedWrite or OpKind.FailedFirstHalf => With([.. _states], _possible & ~bit),
            OpKind.FuaWrite or OpKind.FuaSecondHalf =>
                With([.. _states.Where(state => (state.Applied & bit) != 0 && (state.Wants & bit) == 0)], _possible),
            _ => With([.. _states.Where(state => (state.Applied & bit) != 0)], _possible),
        };
    }

    private static string Without(string cached, int dropped) => string.Concat(cached.Where(op => (dropped >> (op - '0') & 1) == 0));

    private bool IsFuaPending(State state) => Enumerable.Range(0, _ops.Count).Any(op =>
        _ops[op] is OpKind.FuaWrite or OpKind.FuaSecondHalf && (state.Applied >> op & 1) != 0 && (state.Wants >> op & 1) != 0);

    private bool IsFlush(int op) => _ops[op] is OpKind.Flush or OpKind.FailedFlush;

    private CrashDeviceModel With(HashSet<State> states, int possible) => new(_ops, _drops, states, possible);

    private void Close()
    {
        var left = new Queue<State>(_states);
        while (left.TryDequeue(out State state))
        {
            Add(Copy(state));
            for (int op = 0; _possible >> op != 0; op++)
            {
                if ((_possible >> op & 1) != 0 && (state.Applied >> op & 1) == 0)
                {
                    Add(state with { Cached = state.Cached + (char)('0' + op), Applied = state.Applied | 1 << op, Wants = state.Wants | 1 << op });
                }
            }
        }

        void Add(State state)
        {
            if (_states.Add(state))
            {
                left.Enqueue(state);
            }
        }
    }

    private State Copy(State state)
    {
        (int first, int second) = (state.DurableFirst, state.DurableSecond);
        foreach (int op in state.Cached.Select(static op => op - '0'))
        {
            first = _ops[op] is OpKind.SecondHalf or OpKind.FuaSecondHalf ? first : op;
            second = _ops[op] is OpKind.FirstHalf or OpKind.FailedFirstHalf ? second : op;
        }

        return state with { Cached = "", DurableFirst = first, DurableSecond = second, Wants = 0 };
    }

    /// <summary>What the unit is.</summary>
    /// <param name="Cached">The writes that were applied and not copied, a digit each, in the order in which they were applied.</param>
    /// <param name="DurableFirst">The one on the medium, in the first half.</param>
    /// <param name="DurableSecond">The one on the medium, in the second half.</param>
    /// <param name="Applied">Writes that were applied, a bit each.</param>
    /// <param name="Wants">Operations since which the unit was not copied, a bit each.</param>
    private readonly record struct State(string Cached, int DurableFirst, int DurableSecond, int Applied, int Wants);
}
