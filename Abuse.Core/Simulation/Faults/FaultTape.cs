using System.Collections.Immutable;
using System.Globalization;

namespace Abuse.Core;

/// <summary>What of a plan fired, so that it can fire once more, or less of it. Immutable.</summary>
/// <remarks>As text, <c>42:0@3,0@17,1@2</c>: the seed, then for each fault its rule and the how-manieth bio of those that the rule selected.</remarks>
public sealed class FaultTape
{
    private readonly ImmutableHashSet<(int Rule, long Ordinal)> _set;

    internal FaultTape(ulong seed, IEnumerable<(int Rule, long Ordinal)> firings)
    {
        Seed = seed;
        Firings = [.. firings];
        _set = [.. Firings];
    }

    /// <summary>The seed of the disk: it says where a bit rots and where a write goes.</summary>
    public ulong Seed { get; }

    /// <summary>How many faults fired.</summary>
    public int Count => Firings.Length;

    internal ImmutableArray<(int Rule, long Ordinal)> Firings { get; }

    /// <summary>Reads a tape.</summary>
    /// <exception cref="FormatException">The text is none.</exception>
    public static FaultTape Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out FaultTape? tape)
            ? tape!
            : throw new FormatException($"\"{text}\" is no tape: that is a seed, a colon, and rule@ordinal with commas between, as in 42:0@3,1@2.");
    }

    internal bool Contains(int rule, long ordinal) => _set.Contains((rule, ordinal));

    /// <summary>The tape with a part of its faults.</summary>
    internal FaultTape Keep(IEnumerable<(int Rule, long Ordinal)> firings) => new(Seed, firings);

    private static bool TryParse(string text, out FaultTape? tape)
    {
        tape = null;
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0 || !ulong.TryParse(text.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed))
        {
            return false;
        }

        var firings = new List<(int, long)>();
        foreach (string firing in text[(colon + 1)..].Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = firing.Split('@');
            if (parts.Length != 2 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int rule)
                || !long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out long ordinal) || ordinal == 0)
            {
                return false;
            }

            firings.Add((rule, ordinal));
        }

        tape = new FaultTape(seed, firings);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Seed}:{string.Join(',', Firings.Select(static firing => FormattableString.Invariant($"{firing.Rule}@{firing.Ordinal}")))}");
}
