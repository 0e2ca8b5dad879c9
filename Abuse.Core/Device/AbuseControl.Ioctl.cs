using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The same calls byte for byte, as a program of 2009 makes them.</content>
public partial class AbuseControl
{
    private static readonly int InfoSize = Unsafe.SizeOf<AbuseInfo>();
    private static readonly int HeaderSize = Unsafe.SizeOf<AbuseTransferHeader>();

    /// <summary>An ioctl.</summary>
    /// <param name="command">A number of <see cref="AbuseIoctl"/>; others are EINVAL, and so is SET_POLL.</param>
    /// <param name="argument">
    /// The structure that the argument points to, little-endian, read and written in place. Empty is a NULL pointer; one that is too short
    /// faults (EFAULT).
    /// </param>
    /// <param name="memory">The caller's address space, for the vectors and what they point to. Never called under a lock.</param>
    /// <returns>None for 2009's return value 0, or the errno.</returns>
    public Errno Ioctl(uint command, Span<byte> argument, IUserMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        return command switch
        {
            AbuseIoctl.GetStatus => IoctlGetStatus(argument),
            AbuseIoctl.SetStatus => argument.Length < InfoSize ? Errno.EFAULT : SetStatus(MemoryMarshal.Read<AbuseInfo>(argument)),
            AbuseIoctl.Reset => Reset(),
            AbuseIoctl.GetBio => IoctlGetBio(argument, memory),
            AbuseIoctl.PutBio => IoctlPutBio(argument, memory),
            _ => Errno.EINVAL,
        };
    }

    private Errno IoctlGetStatus(Span<byte> argument)
    {
        if (argument.IsEmpty)
        {
            return Errno.EINVAL;
        }

        Errno error = GetStatus(out AbuseInfo info);
        if (error != Errno.None)
        {
            return error;
        }

        return MemoryMarshal.TryWrite(argument, info) ? Errno.None : Errno.EFAULT;
    }

    private Errno IoctlGetBio(Span<byte> argument, IUserMemory memory)
    {
        if (argument.IsEmpty)
        {
            return Errno.EINVAL;
        }

        if (argument.Length < HeaderSize)
        {
            return Errno.EFAULT;
        }

        AbuseTransferHeader header = MemoryMarshal.Read<AbuseTransferHeader>(argument);
        AbuseVector[] vectors = ArrayPool<AbuseVector>.Shared.Rent(AbuseIoctl.MaxVectors);
        try
        {
            // The vectors are cut under the lock and written out after it.
            bool wanted = header.TransferAddress != 0;
            Errno error = GetBio(ref header, wanted ? vectors.AsSpan(0, AbuseIoctl.MaxVectors) : default);
            if (error is not (Errno.None or Errno.ENOMSG))
            {
                return error;
            }

            MemoryMarshal.Write(argument, header);
            if (error == Errno.None && wanted && header.VectorCount != 0)
            {
                ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes<AbuseVector>(vectors.AsSpan(0, (int)header.VectorCount));
                error = memory.TryWrite(header.TransferAddress, bytes) ? Errno.None : Errno.EFAULT;
            }

            return error;
        }
        finally
        {
            ArrayPool<AbuseVector>.Shared.Return(vectors);
        }
    }
}
