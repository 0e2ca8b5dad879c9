namespace Abuse.Core;

/// <summary>A column of whole numbers as text: seven bits a byte, the lowest first, the eighth set where more follow; in base64.</summary>
/// <remarks>Not compressed: what browsers decompress, they decompress later, and the bytes would depend on the framework's version.</remarks>
internal sealed class ColumnWriter
{
    private byte[] _bytes = new byte[1024];
    private int _used;
    private long _last;

    /// <summary>A number from 0 on.</summary>
    internal void Add(long value)
    {
        if (_used + 10 > _bytes.Length)
        {
            Array.Resize(ref _bytes, _bytes.Length * 2);
        }

        ulong rest = (ulong)value;
        for (; rest > 127; rest >>= 7)
        {
            _bytes[_used++] = (byte)(rest | 128);
        }

        _bytes[_used++] = (byte)rest;
    }

    /// <summary>What a number is more or less than the last one that was added so: 0, -1, 1, -2 as 0, 1, 2, 3.</summary>
    internal void AddChange(long value)
    {
        long change = value - _last;
        _last = value;
        Add((change << 1) ^ (change >> 63));
    }

    internal string ToBase64() => Convert.ToBase64String(_bytes, 0, _used);
}
