namespace Abuse.Core;

/// <summary>
/// All contents that writes of parts of one unit may leave, whatever overlaps in time: each is what some of the writes, applied in some
/// order, leave.
/// </summary>
/// <remarks>
/// <para>
/// A unit is durable as it was after some of its writes. Of two writes, one answered before the other was submitted, the first is applied
/// first, and the second is not there without it, unless the first failed, or a failed flush dropped it before what was applied after it was
/// durable. So the sets of writes that may be there are found by applying, again and again, any write that nothing forbids; a set is allowed
/// from the last submission in it, and the last failed flush that dropped one it lacks, to the first event at which a write that is not in it
/// is durable. Sets in which the same writes are seen, byte by byte, are one version.
/// </para>
/// <para>The search ends at <see cref="MostStates"/>: <see cref="IsWhole"/> says whether it was before its end.</para>
/// </remarks>
internal sealed class UnitOrders
{
    internal const int MostStates = 4096;

    private readonly UnitWriter[] _writers;
    private readonly int[] _borders;
    private readonly HashSet<string> _known = [];
    private readonly Queue<OrderState> _left = [];
    private readonly Dictionary<string, OrderSeen> _seen = [];

    internal UnitOrders(UnitWriter[] writers, int length)
    {
        _writers = writers;
        _borders = [.. writers.SelectMany(static writer => new[] { writer.Start, writer.End }).Append(0).Append(length).Distinct().Order()];
        int[] nobody = new int[_borders.Length - 1];
        Array.Fill(nobody, -1);
        Add(new OrderState(0, [], -1, 0, nobody));
        while (_left.TryDequeue(out OrderState? state))
        {
            if (_known.Count > MostStates)
            {
                IsWhole = false;
                break;
            }

            Extend(state);
        }
    }

    /// <summary>Whether all were found.</summary>
    internal bool IsWhole { get; private set; } = true;

    /// <summary>Whether the order of submission is all there is to a unit's contents.</summary>
    internal static bool IsNeeded(ReadOnlySpan<UnitWriter> writers, int length)
    {
        bool isPartial = false, overlaps = false;
        long answered = -1;
        foreach (UnitWriter writer in writers)
        {
            overlaps |= answered > writer.Submitted;
            isPartial |= writer.End - writer.Start != length;
            answered = Math.Max(answered, writer.IsOptional ? CrashDurability.Never : writer.Completed);
        }

        return isPartial && overlaps;
    }

    /// <summary>The contents: who is seen in each part of the unit between borders, and the times at which that is allowed.</summary>
    internal IEnumerable<(int[] Seen, List<(long From, long LostAt)> Times)> Find() =>
        _seen.Values.Select(static seen => (seen.Writers, Join(seen.Times)));

    internal int[] Borders => _borders;

    private void Extend(OrderState state)
    {
        long blocked = CrashDurability.Never;
        for (int i = state.Low; i < _writers.Length && _writers[i].Submitted < blocked; i++)
        {
            UnitWriter writer = _writers[i];
            if (Array.BinarySearch(state.Above, i) >= 0 || (writer.IsOptional && writer.Completed < state.Latest))
            {
                continue;
            }

            // What is missing beneath a write that was durable before the flush that failed was not that flush's to drop.
            OrderState next = Apply(state, i);
            if (next.From <= writer.DurableAt)
            {
                Add(next);
            }

            blocked = writer.IsOptional ? blocked : Math.Min(blocked, writer.Completed);
        }
    }

    private OrderState Apply(OrderState state, int applied)
    {
        long latest = Math.Max(state.Latest, _writers[applied].Submitted);
        long from = Math.Max(state.From, latest + 1);
        for (int i = state.Low; i < _writers.Length && _writers[i].Submitted < latest; i++)
        {
            bool isMissing = _writers[i].IsOptional && _writers[i].Completed < latest && i != applied && Array.BinarySearch(state.Above, i) < 0;
            from = isMissing ? Math.Max(from, _writers[i].OptionalFrom) : from;
        }

        List<int> above = [.. state.Above.Append(applied).Order()];
        int low = state.Low;
        while (low < _writers.Length && (above.Remove(low) || (_writers[low].IsOptional && _writers[low].Completed < latest)))
        {
            low++;
        }

        int[] seen = [.. state.Seen];
        for (int part = 0; part < seen.Length; part++)
        {
            if (_writers[applied].Start <= _borders[part] && _borders[part + 1] <= _writers[applied].End)
            {
                seen[part] = applied;
            }
        }

        return new OrderState(low, [.. above], latest, from, seen);
    }

    private void Add(OrderState state)
    {
        string name = string.Join(',', state.Seen);
        if (!_known.Add($"{state.Low};{string.Join(',', state.Above)};{state.From};{name}"))
        {
            return;
        }

        _left.Enqueue(state);
        long lostAt = CrashDurability.Never;
        for (int i = state.Low; i < _writers.Length; i++)
        {
            lostAt = Array.BinarySearch(state.Above, i) >= 0 ? lostAt : Math.Min(lostAt, _writers[i].DurableAt);
        }

        if (!_seen.TryGetValue(name, out OrderSeen? seen))
        {
            _seen.Add(name, seen = new OrderSeen(state.Seen, []));
        }

        if (state.From <= lostAt)
        {
            seen.Times.Add((state.From, lostAt));
        }
    }

    /// <summary>Times that touch are one.</summary>
    private static List<(long From, long LostAt)> Join(List<(long From, long LostAt)> times)
    {
        var joined = new List<(long From, long LostAt)>();
        foreach ((long from, long lostAt) in times.Order())
        {
            if (joined.Count != 0 && (joined[^1].LostAt == CrashDurability.Never || from <= joined[^1].LostAt + 1))
            {
                joined[^1] = (joined[^1].From, Math.Max(joined[^1].LostAt, lostAt));
            }
            else
            {
                joined.Add((from, lostAt));
            }
        }

        return joined;
    }

    /// <summary>Some of the writes, applied.</summary>
    /// <param name="Low">All before this one are there, or can't be any more.</param>
    /// <param name="Above">Those from it on that are there.</param>
    /// <param name="Latest">The last submission among them; -1 for none.</param>
    /// <param name="From">The first point at which they may be there without the others.</param>
    /// <param name="Seen">For each part who is seen in it; -1 for the content at the start.</param>
    private sealed record OrderState(int Low, int[] Above, long Latest, long From, int[] Seen);

    private sealed record OrderSeen(int[] Writers, List<(long From, long LostAt)> Times);
}
