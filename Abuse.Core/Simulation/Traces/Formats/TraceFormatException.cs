using System.Globalization;

namespace Abuse.Core;

/// <summary>A file is no trace, or is cut short or damaged. What was sound of it is kept in <see cref="Sound"/>.</summary>
public sealed class TraceFormatException : IOException
{
    /// <summary>An exception without a place, for frameworks that make them.</summary>
    public TraceFormatException()
        : this("The file is no trace.")
    {
    }

    /// <summary>An exception without a place.</summary>
    /// <param name="message">What is wrong.</param>
    public TraceFormatException(string message)
        : base(message)
    {
    }

    /// <summary>An exception without a place.</summary>
    /// <param name="message">What is wrong.</param>
    /// <param name="innerException">Why.</param>
    public TraceFormatException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal TraceFormatException(string what, long position, BlockTrace? sound)
        : base(string.Create(CultureInfo.InvariantCulture, $"{what}, at byte {position} of the file; {Count(sound)}."))
    {
        Position = position;
        Sound = sound;
    }

    /// <summary>Where in the file the first thing that is wrong begins, in bytes from where the reading began.</summary>
    public long Position { get; }

    /// <summary>
    /// The trace of what comes before <see cref="Position"/>, which can be explored as any other; null where not even the beginning was sound.
    /// It ends early: bios whose completion comes later have none.
    /// </summary>
    public BlockTrace? Sound { get; }

    private static string Count(BlockTrace? sound) => sound is null
        ? "nothing before it can be used"
        : string.Create(CultureInfo.InvariantCulture, $"{sound.Count} bios before it are sound, and are kept in {nameof(TraceFormatException)}.{nameof(Sound)}");
}
