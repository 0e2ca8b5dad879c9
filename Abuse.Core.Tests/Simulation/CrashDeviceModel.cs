namespace Abuse.Core.Tests;

/// <summary>
/// One atomic unit of a disk with a volatile cache, as a machine that may do anything at any moment that a disk may: apply a write that it
/// was given, and copy the unit from the cache to the medium. The set of all states that it can be in is carried along a trace.
/// </summary>
/// <remarks>
/// Written against the words of the rules, not against the explorer: a write is applied before it is answered; a FUA write is copied after it
/// was applied and before it is answered; a flush has the unit copied between its submission and its answer.
/// </remarks>
internal sealed class CrashDeviceModel
{
    private readonly HashSet<State> _states;
    private readonly int _submitted;

    internal CrashDeviceModel()
        : this([new State(-1, -1, 0, 0)], 0)
    {
    }

    private CrashDeviceModel(HashSet<State> states, int submitted)
    {
        _states = states;
        _submitted = submitted;
        Close();
    }

    internal enum OpKind
    {
        Write,
        FuaWrite,
        Flush,
    }

    /// <summary>What a power loss may leave: the number of a write, or -1 for the content at the start.</summary>
    internal int[] Left => [.. _states.Select(static state => state.Durable).Distinct().Order()];

    internal CrashDeviceModel Submit(int op, OpKind kind) => kind == OpKind.Flush
        ? new([.. _states.Select(state => state with { Wants = state.Wants | 1 << op })], _submitted)
        : new([.. _states], _submitted | 1 << op);

    internal CrashDeviceModel Complete(int op, OpKind kind) => new(
        [.. _states.Where(state => (kind == OpKind.Flush || (state.Applied >> op & 1) != 0) && (kind == OpKind.Write || (state.Wants >> op & 1) == 0))],
        _submitted);

    private void Close()
    {
        var left = new Queue<State>(_states);
        while (left.TryDequeue(out State state))
        {
            Add(state with { Durable = state.Cached, Wants = 0 });
            for (int op = 0; _submitted >> op != 0; op++)
            {
                if ((_submitted >> op & 1) != 0 && (state.Applied >> op & 1) == 0)
                {
                    Add(state with { Cached = op, Applied = state.Applied | 1 << op, Wants = state.Wants | 1 << op });
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

    /// <summary>What the unit is.</summary>
    /// <param name="Cached">The write that was applied last.</param>
    /// <param name="Durable">The one on the medium.</param>
    /// <param name="Applied">Writes that were applied, a bit each.</param>
    /// <param name="Wants">Operations since which the unit was not copied, a bit each.</param>
    private readonly record struct State(int Cached, int Durable, int Applied, int Wants);
}
