using System.Globalization;

namespace Abuse.Core;

/// <summary>What a power loss leaves of the writes that were not made durable: all, nothing, or what a seed decides.</summary>
/// <remarks>
/// Each atomic unit of the disk decides for itself, so that one write may land in part, and a later write while an earlier one is lost.
/// Within a unit, versions come in order: a unit that has a later write's bytes has the earlier ones' beneath them. Immutable.
/// </remarks>
public readonly record struct PowerLoss
{
    private readonly PowerLossKind _kind;
    private readonly ulong _seed;

    private PowerLoss(PowerLossKind kind, ulong seed = 0)
    {
        _kind = kind;
        _seed = seed;
    }

    /// <summary>Nothing stays but what flushes and FUA writes made durable. The value of <c>default</c>.</summary>
    public static PowerLoss KeepNothing => default;

    /// <summary>Every write stays that the disk was given, answered or not.</summary>
    public static PowerLoss KeepEverything => new(PowerLossKind.KeepEverything);

    /// <summary>Each unit has any of its versions from the durable one on, all equally likely.</summary>
    /// <param name="seed">Any number. The same number and the same writes leave the same content.</param>
    public static PowerLoss Random(ulong seed) => new(PowerLossKind.Random, seed);

    /// <summary>Which version a unit has.</summary>
    /// <param name="unit">The unit's number from the start of the disk.</param>
    /// <param name="versions">How many there are beyond the durable one.</param>
    /// <returns>0 for the durable one, to <paramref name="versions"/> for the newest.</returns>
    internal int Choose(long unit, int versions) => _kind switch
    {
        PowerLossKind.KeepNothing => 0,
        PowerLossKind.KeepEverything => versions,
        _ => (int)SeededHash.Below((uint)versions + 1, _seed, (ulong)unit),
    };

    /// <inheritdoc/>
    public override string ToString() => _kind == PowerLossKind.Random ? string.Create(CultureInfo.InvariantCulture, $"Random({_seed})") : _kind.ToString();
}

/// <summary>The ways in which a power loss decides.</summary>
internal enum PowerLossKind : byte
{
    /// <summary>The durable version.</summary>
    KeepNothing,

    /// <summary>The newest version.</summary>
    KeepEverything,

    /// <summary>Any version.</summary>
    Random,
}
