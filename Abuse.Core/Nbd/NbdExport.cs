using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>A device under a name, as an NBD server offers it. Immutable.</summary>
/// <param name="device">The device; borrowed, and opened once: every connection uses it.</param>
/// <param name="name">
/// What clients ask for; the empty name, the default, is what they ask for that name nothing. At most 4096 bytes of UTF-8.
/// </param>
public sealed class NbdExport(AbuseDevice device, string name = "")
{
    private const int MaxStringBytes = 4096;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The device.</summary>
    /// <exception cref="ArgumentNullException">It is null.</exception>
    public AbuseDevice Device { get; } = device ?? throw new ArgumentNullException(nameof(device));

    /// <summary>What clients ask for.</summary>
    /// <exception cref="ArgumentException">It is longer than 4096 bytes of UTF-8, has a NUL, or is no valid text.</exception>
    public string Name { get; } = Checked(name, nameof(name));

    /// <summary>A sentence for people, which clients may show; null for none. At most 4096 bytes of UTF-8.</summary>
    /// <exception cref="ArgumentException">It is longer, has a NUL, or is no valid text.</exception>
    public string? Description
    {
        get;
        init => field = value is null ? null : Checked(value, nameof(value));
    }

    /// <summary>Whether clients may write. They may not unless this says so, or where the device itself is read-only.</summary>
    public bool IsWritable { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"\"{Name}\": {Device}, {(IsWritable ? "writable" : "read-only")}");

    private static string Checked(string value, string parameter)
    {
        ArgumentNullException.ThrowIfNull(value, parameter);
        try
        {
            if (Strict.GetByteCount(value) <= MaxStringBytes && !value.Contains('\0', StringComparison.Ordinal))
            {
                return value;
            }
        }
        catch (EncoderFallbackException)
        {
            // Half of a surrogate pair.
        }

        throw new ArgumentException($"A string of NBD is text of at most {MaxStringBytes} bytes of UTF-8, none of them 0.", parameter);
    }
}
