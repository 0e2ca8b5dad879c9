using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Interop;

/// <summary>A mapping of a file's pages into this process; disposing it unmaps them.</summary>
/// <remarks>Who uses the spans vouches that the mapping is alive: they are not counted.</remarks>
internal sealed class MappedMemory : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly nint _length;

    private MappedMemory(nint address, nint length)
        : base(ownsHandle: true)
    {
        SetHandle(address);
        _length = length;
    }

    internal static MappedMemory Map(SafeFileHandle file, long offset, long length, bool writable)
    {
        bool added = false;
        try
        {
            file.DangerousAddRef(ref added);
            int protection = LinuxCall.ProtRead | (writable ? LinuxCall.ProtWrite : 0);
            nint address = LinuxCall.Map(
                0, (nint)length, protection, LinuxCall.MapShared | LinuxCall.MapPopulate, (int)file.DangerousGetHandle(), offset);
            int error = Marshal.GetLastPInvokeError();
            return address != -1 ? new MappedMemory(address, (nint)length) : throw new Win32Exception(error);
        }
        finally
        {
            if (added)
            {
                file.DangerousRelease();
            }
        }
    }

    /// <summary>Value <paramref name="index"/> of a mapping of equal values; nothing here checks that it is there.</summary>
    internal unsafe ref readonly T At<T>(int index)
        where T : unmanaged => ref ((T*)handle)[index];

    /// <summary>The address of <paramref name="offset"/>, for those who hold the mapping for as long as they use it.</summary>
    internal unsafe byte* Address(nint offset) => (byte*)handle + offset;

    protected override bool ReleaseHandle() => LinuxCall.Unmap(handle, _length) == 0;
}
