using System.Buffers.Binary;
using System.Text;

namespace Abuse.Core;

/// <summary>The fields of a record of a trace's file, in their order. What is not there throws <see cref="FormatException"/>.</summary>
internal ref struct TraceFields(ReadOnlySpan<byte> bytes)
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private ReadOnlySpan<byte> _left = bytes;

    /// <summary>All that is left.</summary>
    internal ReadOnlySpan<byte> Rest()
    {
        ReadOnlySpan<byte> rest = _left;
        _left = default;
        return rest;
    }

    internal ReadOnlySpan<byte> Take(int length)
    {
        if (_left.Length < length)
        {
            throw new FormatException("a record is too short");
        }

        ReadOnlySpan<byte> taken = _left[..length];
        _left = _left[length..];
        return taken;
    }

    internal ulong Fixed() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    /// <summary>A number of seven bits a byte, the lowest first.</summary>
    internal ulong Unsigned()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new FormatException("a number has too many bytes");
    }

    /// <summary>A number from 0 to <paramref name="most"/>.</summary>
    internal long Number(long most, string what)
    {
        ulong value = Unsigned();
        return most >= 0 && value <= (ulong)most ? (long)value : throw new FormatException($"{what} can't be {value}");
    }

    /// <summary>A number whose sign is its lowest bit.</summary>
    internal long Signed()
    {
        ulong value = Unsigned();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    internal string Text()
    {
        try
        {
            return Strict.GetString(Rest());
        }
        catch (DecoderFallbackException)
        {
            throw new FormatException("a text is not UTF-8");
        }
    }

    internal readonly void End()
    {
        if (_left.Length != 0)
        {
            throw new FormatException("a record is too long");
        }
    }
}
