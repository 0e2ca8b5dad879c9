using System.Globalization;

namespace Abuse.Core;

/// <summary>What a key has: a value, nothing, or something that the program says it has lost. Immutable.</summary>
/// <typeparam name="TValue">The values.</typeparam>
public readonly record struct KeyedContent<TValue>
{
    private readonly TValue? _value;

    internal KeyedContent(TValue value) => (_value, HasValue) = (value, true);

    internal KeyedContent(string loss) => Loss = loss;

    /// <summary>Whether the key has a value. Not in the value of <c>default</c>: the key is not there.</summary>
    public bool HasValue { get; }

    /// <summary>What the program says of the loss; null if it says of none.</summary>
    public string? Loss { get; }

    /// <summary>The value.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public TValue Value => HasValue ? _value! : throw new InvalidOperationException($"The key has no value: {this}.");

    /// <inheritdoc/>
    public override string ToString() => HasValue ? KeyedContent.Show(_value) : Loss is null ? "nothing" : $"a loss that the program tells: {Loss}";
}

/// <summary>Makes contents of keys for a <see cref="KeyedOracle{TKey, TValue}"/>.</summary>
public static class KeyedContent
{
    private const int MostShown = 40;

    /// <summary>A value.</summary>
    public static KeyedContent<TValue> Of<TValue>(TValue value) => new(value);

    /// <summary>The key is not there.</summary>
    public static KeyedContent<TValue> None<TValue>() => default;

    /// <summary>The program says that it lost the key's value, or can't read it.</summary>
    /// <param name="reason">In its own words.</param>
    public static KeyedContent<TValue> Lost<TValue>(string reason)
    {
        ArgumentNullException.ThrowIfNull(reason);
        return new(reason);
    }

    internal static string Show<T>(T? value)
    {
        string text = value switch
        {
            null => "null",
            byte[] bytes => Hex(bytes),
            ReadOnlyMemory<byte> bytes => Hex(bytes.Span),
            IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString() ?? "",
        };
        return text.Length <= MostShown ? $"\"{text}\"" : $"\"{text.AsSpan(0, MostShown)}...\"";
    }

    private static string Hex(ReadOnlySpan<byte> bytes) =>
        string.Create(CultureInfo.InvariantCulture, $"{bytes.Length} bytes {Convert.ToHexString(bytes[..Math.Min(bytes.Length, 8)])}");
}
