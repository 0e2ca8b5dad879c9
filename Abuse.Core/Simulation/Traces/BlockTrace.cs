using System.Globalization;

namespace Abuse.Core;

/// <summary>What a disk was asked to do and what it answered, with every byte that was written. Immutable, and so thread-safe.</summary>
/// <remarks>Made by a <see cref="BlockRecorder"/>.</remarks>
public sealed class BlockTrace
{
    private readonly TraceLog _log;

    internal BlockTrace(BlockGeometry geometry, PageStore initial, TraceLog log, IReadOnlyList<TraceMark> marks, long events)
    {
        Geometry = geometry;
        Initial = initial;
        _log = log;
        Marks = marks;
        Events = events;
    }

    /// <summary>The disk's size, blocks, features and atomic unit.</summary>
    public BlockGeometry Geometry { get; }

    /// <summary>How many bios there are, from 0 on in order of submission.</summary>
    public int Count => _log.Count;

    /// <summary>How many events there are: submissions, completions and marks.</summary>
    public long Events { get; }

    /// <summary>What the program marked, in order.</summary>
    public IReadOnlyList<TraceMark> Marks { get; }

    /// <summary>The faults that a simulated disk injected, in order; none where nobody says.</summary>
    public IReadOnlyList<InjectedFault> Faults { get; internal init; } = [];

    /// <summary>The content at the start.</summary>
    internal PageStore Initial { get; }

    /// <summary>A bio by its number.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is none of that number.</exception>
    public TracedBio this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            return _log.Get(index);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Count} bios in {Events} events, {Geometry}");
}
