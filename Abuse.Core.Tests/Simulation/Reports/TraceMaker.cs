namespace Abuse.Core.Tests;

/// <summary>Traces of bios that nobody did: of any shape, the same for the same seed.</summary>
internal sealed class TraceMaker(int seed)
{
    private readonly Random _random = new(seed);
    private readonly TraceLog _log = new();
    private readonly List<TraceMark> _marks = [];
    private readonly List<int> _open = [];
    private readonly List<InjectedFault> _faults = [];
    private long _events;
    private long _ticks;

    /// <summary>How many bios may be in flight.</summary>
    internal int MaxDepth { get; init; } = 8;

    internal long Size { get; init; } = 64 << 10;

    /// <summary>The longest bio, in sectors.</summary>
    internal int MaxSectors { get; init; } = 16;

    /// <summary>Ticks between two events; none at all if 0.</summary>
    internal int Pace { get; init; } = 2000;

    internal bool HasFaults { get; init; }

    internal bool HasCallSites { get; init; }

    internal BlockTrace Make(int bios)
    {
        while (_log.Count < bios)
        {
            if (_open.Count == MaxDepth || (_open.Count != 0 && _random.Next(2) == 0))
            {
                Answer(_random.Next(_open.Count));
            }
            else
            {
                Submit();
            }

            if (_random.Next(bios) < 8)
            {
                _marks.Add(new TraceMark { Event = ++_events, At = Now(), Text = $"round {_marks.Count + 1}" });
            }
        }

        // Some never have an answer.
        while (_open.Count > 2)
        {
            Answer(0);
        }

        return new BlockTrace(new BlockGeometry(Size), new PageStore(Size), _log, [.. _marks], _events) { Faults = [.. _faults] };
    }

    private void Submit()
    {
        BioOp op = _random.Next(20) switch { < 8 => BioOp.Read, < 16 => BioOp.Write, 16 => BioOp.Discard, 17 => BioOp.WriteZeroes, _ => BioOp.Flush };
        int length = _random.Next(1, MaxSectors + 1) * 512;
        long offset = _random.NextInt64((Size - length) / 512) * 512;
        var bio = new BioHead
        {
            Op = op,
            Offset = op == BioOp.Flush ? 0 : offset,
            Length = op == BioOp.Flush ? 0 : length,
            Fua = op == BioOp.Write && _random.Next(8) == 0,
        };
        _open.Add(_log.Add(bio, default, _events++, Now(), HasCallSites ? $"Store.Put{_random.Next(3)} (Store.cs:{_random.Next(100)})" : null));
    }

    private void Answer(int place)
    {
        int index = _open[place];
        _open.RemoveAt(place);
        bool fails = _random.Next(40) == 0;
        _log.Complete(index, _events++, Now(), fails ? BioResult.MediaFailure : BioResult.Ok);
        if (HasFaults && fails)
        {
            TracedBio bio = _log.Get(index);
            _faults.Add(new InjectedFault
            {
                Id = _faults.Count + 1,
                Ordinal = _faults.Count + 1,
                Effect = FaultEffect.Status,
                At = bio.CompletedAt!.Value,
                Op = bio.Op,
                Offset = bio.Offset,
                Length = bio.Length,
            });
        }
    }

    private TimeSpan Now() => TimeSpan.FromTicks(_ticks += Pace == 0 ? 0 : _random.Next(Pace));
}
